"""The rows of the peers' jobs: one row for the job, one for its call."""

import json
from typing import Any
from uuid import UUID

import psycopg

from tierline.base.ids import new_id

# Half of a page is left free, so that an update finds room beside its row and touches no index.
TABLES = """
CREATE TABLE IF NOT EXISTS peer_jobs (
    id uuid PRIMARY KEY, status text NOT NULL, input json NOT NULL, output json, claim_token uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), completed_at timestamptz
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS peer_calls (
    job_id uuid NOT NULL, token uuid NOT NULL, model text NOT NULL, booked_at timestamptz NOT NULL,
    settled_at timestamptz, verdict text, input_tokens int, output_tokens int,
    PRIMARY KEY (job_id, token)
) WITH (fillfactor = 50);
TRUNCATE peer_jobs, peer_calls;
"""


def fill(connection: psycopg.Connection[Any], jobs: int, text: str) -> list[UUID]:
    """That many queued rows; their ids."""
    ids = [new_id() for _ in range(jobs)]
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY peer_jobs (id, status, input) FROM STDIN") as copy,
    ):
        for one in ids:
            copy.write_row((one, "queued", json.dumps({"text": text})))
    return ids
