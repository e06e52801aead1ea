"""Plays the workers of a feature: ends its queued jobs, for tests of what a client sees."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from tests.support.waiting import DEADLINE_S

Answer = Callable[[Any], tuple[str, Any]]

WAITING = """
SELECT j.id, r.input FROM jobs j JOIN job_requests r ON r.job_id = j.id
JOIN feature_versions v ON v.id = j.feature_version_id
WHERE j.part < 2 AND j.status = 'queued' AND v.name = %s ORDER BY j.seq LIMIT 200
"""


def echo(input: Any) -> tuple[str, Any]:
    """The status and the output of a job: its input."""
    return "completed", input


@contextmanager
def played(url: str, feature: str, answer: Answer = echo) -> Iterator[list[str]]:
    """Every job of the feature ends with what `answer` says, while the block lasts; their ids."""
    stop = threading.Event()
    ended: list[str] = []
    thread = threading.Thread(target=_play, args=(url, feature, answer, stop, ended))
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def _play(url: str, feature: str, answer: Answer, stop: threading.Event, ended: list[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.wait(0.002):
            rows = connection.execute(WAITING, (feature,)).fetchall()
            for job_id, input in rows:
                _end(connection, job_id, *answer(input))
                ended.append(str(job_id))
            for start in range(0, len(rows), 100):
                ids = ",".join(str(job_id) for job_id, _ in rows[start : start + 100])
                connection.execute("SELECT pg_notify('tierline_done', %s)", (ids,))


def _end(connection: psycopg.Connection[Any], job_id: object, status: str, output: Any) -> None:
    done = status == "completed"
    with connection.transaction():
        connection.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at,"
            " verdict, model) VALUES (%s, 1, %s, 'slm', 'slm', 'w', clock_timestamp(), %s, 'm')",
            (job_id, uuid4(), "passed" if done else "schema"),
        )
        connection.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
            " answered_model, settled_at, input_tokens, output_tokens, cost_usd, latency_s)"
            " SELECT id, 1, 1, account_id, 'answer', 'openai:small', 'small-1',"
            " clock_timestamp(), 10, 5, 0.000125, 0.01 FROM jobs WHERE id = %s",
            (job_id,),
        )
        if done:
            connection.execute(
                "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 1, 'x', %s)",
                (job_id, json.dumps(output)),
            )
        connection.execute(
            "UPDATE jobs SET status = %(status)s, attempts = 1, completed_at = clock_timestamp(),"
            " started_at = clock_timestamp(), model = 'small-1', part = 2,"
            " answer_attempt = CASE WHEN %(done)s THEN 1 END,"
            " error_code = CASE WHEN %(status)s = 'failed' THEN 'checks_failed' END,"
            " error_message = CASE WHEN %(status)s = 'failed' THEN 'it is wrong' END"
            " WHERE id = %(id)s",
            {"status": status, "done": done, "id": job_id},
        )
