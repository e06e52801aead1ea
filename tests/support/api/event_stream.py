"""Reads server-sent events as a client does, and plays the worker whose jobs they are of."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from tests.support.api.served import Api

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Event:
    """One event as it was read."""

    type: str
    id: str | None
    data: dict[str, Any]

    @property
    def job(self) -> dict[str, Any]:
        """The job in its data."""
        job: dict[str, Any] = self.data["data"]
        return job


@contextlib.contextmanager
def following(
    api: Api, path: str, last_id: str | None = None, **more: Any
) -> Iterator[Iterator[Event]]:
    """The events of a stream, as they come."""
    headers = {"Accept": "text/event-stream", **more.pop("headers", {})}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    method = more.pop("method", "GET")
    with api.http.stream(method, path, headers=headers, **more) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events_in(response)


def events_in(response: httpx.Response) -> Iterator[Event]:
    """The events in a response, by the rules of the HTML standard."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


def start(rows: Connection, job_id: str, number: int, tier: str = "slm") -> None:
    """Play a worker that claims the job."""
    with rows.transaction():
        rows.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker)"
            " VALUES (%s, %s, %s, %s, 'slm', 'w')",
            (job_id, number, uuid4(), tier),
        )
        rows.execute(
            "UPDATE jobs SET status = 'in_progress', attempts = %s WHERE id = %s", (number, job_id)
        )


def escalate(rows: Connection, job_id: str, number: int) -> None:
    """Play a worker whose answer fails a check, so that the next tier is called."""
    with rows.transaction():
        rows.execute(
            "UPDATE attempts SET ended_at = clock_timestamp(), verdict = 'schema',"
            " reason = 'total is missing' WHERE job_id = %s AND number = %s",
            (job_id, number),
        )
        rows.execute(
            "UPDATE jobs SET status = 'queued', tier = 'frontier', tier_index = 1,"
            " queue = 'deeper-analysis', escalation_reason = 'schema: total is missing'"
            " WHERE id = %s",
            (job_id,),
        )


def finish(rows: Connection, job_id: str, number: int, status: str = "completed") -> None:
    """Play a worker that ends the job with an answer."""
    with rows.transaction():
        rows.execute(
            "UPDATE attempts SET ended_at = clock_timestamp(), verdict = 'passed'"
            " WHERE job_id = %s AND number = %s",
            (job_id, number),
        )
        rows.execute(
            "INSERT INTO answers (job_id, attempt, text, output)"
            """ VALUES (%s, %s, 'x', '{"text": "x"}')""",
            (job_id, number),
        )
        rows.execute(
            "UPDATE jobs SET status = %s, completed_at = clock_timestamp(), answer_attempt = %s,"
            " part = 2 WHERE id = %s",
            (status, number, job_id),
        )
    rows.execute("SELECT pg_notify('tierline_done', %s)", (job_id,))
