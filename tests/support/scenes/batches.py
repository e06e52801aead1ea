"""A real API over an empty database, in a thread of this process, and answers put in by hand."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import uvicorn

from api.app import create_app
from tests.support.database.rows import add_feature, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import ensure_first_admin
from tierline.services.batches.finish_batches import complete_finished

FEATURE = "echo"


@dataclass
class Scene:
    """The API, its database, and a client with the admin's key."""

    url: str
    key: str
    connection: psycopg.Connection[Any]
    http: httpx.Client
    version: int = 0
    feature: str = FEATURE

    def open(self, key: str | None = None, **more: Any) -> dict[str, Any]:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.http.post("/v1/batches", json={"feature": FEATURE, **more}, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def put(self, batch: str, number: int, rows: list[Any] | bytes) -> httpx.Response:
        body = rows if isinstance(rows, bytes) else ndjson(rows)
        return self.http.put(
            f"/v1/batches/{batch}/parts/{number}",
            content=body,
            headers={"Content-Type": "application/x-ndjson"},
        )

    def seal(self, batch: str, parts: int) -> httpx.Response:
        return self.http.post(f"/v1/batches/{batch}/seal", json={"parts": parts})

    def get(self, batch: str) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/batches/{batch}").json())

    def rows(self, batch: str, what: str = "output", **params: Any) -> list[dict[str, Any]]:
        answer = self.http.get(f"/v1/batches/{batch}/{what}", params=params)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def jobs(self, batch: str) -> int:
        row = self.connection.execute("SELECT count(*) FROM jobs WHERE batch_id = %s", (batch,))
        return int(row.fetchone()[0])  # type: ignore[index]

    def complete(self) -> list[UUID]:
        with self.connection.transaction():
            return complete_finished(self.connection)

    def answer_queued(
        self, cost_usd: str = "0.001", fail: Callable[[str], bool] | None = None
    ) -> int:
        """End every queued job as a worker would, by hand: an attempt, a call, an answer."""
        rows = self.connection.execute(
            "SELECT j.id, j.account_id, r.input ->> 'text' FROM jobs j"
            " JOIN job_requests r ON r.job_id = j.id WHERE j.status = 'queued'"
        ).fetchall()
        for job_id, account_id, text in rows:
            failed = fail is not None and fail(text)
            self._end(job_id, account_id, text, cost_usd, failed)
        return len(rows)

    def _end(self, job_id: UUID, account_id: int, text: str, cost: str, failed: bool) -> None:
        do = self.connection.execute
        with self.connection.transaction():
            do(
                "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker,"
                " ended_at, verdict)"
                " VALUES (%s, 1, %s, 'slm', 'slm-backfill', 'hand', clock_timestamp(), %s)",
                (job_id, job_id, "schema" if failed else "passed"),
            )
            do(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
                " settled_at, cost_usd) VALUES (%s, 1, 1, %s, 'answer', 'openai:small',"
                " clock_timestamp(), %s)",
                (job_id, account_id, cost),
            )
            do(
                "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 1, %s, %s)",
                (job_id, text, json.dumps({"text": text.upper()})),
            )
            do(
                "UPDATE jobs SET status = %s, attempts = 1, completed_at = clock_timestamp(),"
                " model = 'small-1', answer_attempt = %s, error_code = %s, error_message = %s"
                " WHERE id = %s",
                (
                    "failed" if failed else "completed",
                    None if failed else 1,
                    "checks_failed" if failed else None,
                    "schema: no" if failed else None,
                    job_id,
                ),
            )


def ndjson(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def rows(count: int, start: int = 1) -> list[dict[str, object]]:
    return [
        {"custom_id": f"r{n}", "input": {"text": f"row {n}"}, "line": n}
        for n in range(start, start + count)
    ]


@pytest.fixture
def scene(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("TIERLINE_WEBHOOK_ALLOW", "127.0.0.0/8")
    from tierline.base.settings import settings

    settings.cache_clear()
    key = ensure_first_admin(fresh_database_url)
    assert key is not None
    server = uvicorn.Server(
        uvicorn.Config(create_app(), host="127.0.0.1", port=0, log_config=None, lifespan="on")
    )
    thread = threading.Thread(target=server.run, name="api", daemon=True)
    thread.start()
    wait_until(lambda: server.started, DEADLINE_S, "the API to start")
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        psycopg.connect(fresh_database_url, autocommit=True) as connection,
        httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=DEADLINE_S,
        ) as http,
    ):
        made = Scene(url, key, connection, http)
        made.version = add_feature(connection, two_tiers(FEATURE))
        yield made
    server.should_exit = True
    thread.join(DEADLINE_S)
    settings.cache_clear()
