"""The yardsticks' rows and messages; apart from the tasks, which need a broker to be imported."""

import json
import subprocess
import sys
from typing import Any
from uuid import UUID

import psycopg

from tierline.base.ids import new_id

TABLES = """
CREATE TABLE IF NOT EXISTS yard_jobs (
    id uuid PRIMARY KEY, status text NOT NULL, input json NOT NULL, output json, claim_token uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), completed_at timestamptz);
CREATE TABLE IF NOT EXISTS yard_attempts (
    job_id uuid NOT NULL, token uuid NOT NULL, started_at timestamptz NOT NULL,
    ended_at timestamptz, tokens int, verdict text, PRIMARY KEY (job_id, token));
TRUNCATE yard_jobs, yard_attempts;
"""

PUBLISH = """
import json, sys
from benchmarks.throughput.yardstick import app
task, queue = sys.argv[1:]
ids = json.load(sys.stdin)
with app.producer_or_acquire() as producer:
    producer.channel.queue_purge(queue)
    for start in range(0, len(ids), 500):
        with producer.batch():
            for one in ids[start:start + 500]:
                app.send_task(task, args=(one,), queue=queue, producer=producer)
"""


def fill(connection: psycopg.Connection[Any], jobs: int, text: str = "hello") -> list[UUID]:
    """That many queued rows; their ids."""
    ids = [new_id() for _ in range(jobs)]
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY yard_jobs (id, status, input) FROM STDIN") as copy,
    ):
        for one in ids:
            copy.write_row((one, "queued", json.dumps({"text": text})))
    return ids


def publish(environment: dict[str, str], task: str, queue: str, ids: list[UUID]) -> None:
    """One message a row, put there before the clock runs."""
    subprocess.run(
        [sys.executable, "-c", PUBLISH, task, queue],
        input=json.dumps([str(one) for one in ids]).encode(),
        env=environment,
        check=True,
        timeout=120,
    )
