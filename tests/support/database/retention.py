"""Jobs of one feature that have ended, with content wherever content can stand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.base.ids import first_id_of, new_id
from tierline.features import Retention
from tierline.storage.db.engine import create_pool
from tierline.storage.features.features import add_draft, add_version

SECRET = "ZK-4410 for Mrs Secret"  # in everything that may quote what was asked or answered


def id_days_ago(days: float) -> UUID:
    """The id of a job that was made then."""
    at = first_id_of(datetime.now(UTC), timedelta(days=days))
    return UUID(int=at.int | new_id().int & (1 << 80) - 1)


@dataclass
class RetentionScene:
    """A database with jobs to be forgotten."""

    pool: ConnectionPool[Any]
    account: int
    version: int

    def ended_job(self, *, days: float = 0.0, delivery: str | None = None, **columns: Any) -> UUID:
        """A job that escalated, failed on its last tier and ended `days` ago."""
        columns = {"status": "failed", "attempts": 2, "error_code": "checks_failed"} | columns
        with self.pool.connection() as connection, connection.transaction():
            do = connection.execute
            job_id = add_job(
                connection,
                self.account,
                columns.pop("version", self.version),
                input={"text": SECRET},
                tier="frontier",
                tier_index=1,
                error_message=f"ungrounded: {SECRET}",
                escalation_reason=f"rule: {SECRET}: and more",
                **({"id": id_days_ago(days)} | columns),
            )
            self._end(do, job_id, days)
            if delivery is not None:
                self.add_delivery(job_id, delivery, do)
        return job_id

    def _end(self, do: Any, job_id: UUID, days: float) -> None:
        do(
            "UPDATE jobs SET completed_at = clock_timestamp() - make_interval(secs => %s)"
            " WHERE id = %s AND status NOT IN ('queued', 'in_progress')",
            (days * 86_400, job_id),
        )
        routing = {"policy": "slm_first", "reason": f"escalated: rule: {SECRET}"}
        for number, verdict in ((1, "rule"), (2, "ungrounded")):
            do(
                "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, routing,"
                " ended_at, verdict, reason) VALUES (%s, %s, %s, 'slm', 'slm', 'hand', %s,"
                " clock_timestamp(), %s, %s)",
                (job_id, number, new_id(), json.dumps(routing), verdict, SECRET),
            )
            do(
                "INSERT INTO answers VALUES (%s, %s, %s, %s)",
                (job_id, number, SECRET, json.dumps({"text": SECRET})),
            )
            do(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
                " settled_at, cost_usd) VALUES (%s, %s, 1, %s, 'answer', 'openai:small',"
                " clock_timestamp(), 0.25)",
                (job_id, number, self.account),
            )

    def add_delivery(self, job_id: UUID, status: str, do: Any = None) -> None:
        with self.pool.connection() as connection:
            (do or connection.execute)(
                "INSERT INTO deliveries (id, account_id, url, target, job_id, event, body, status)"
                " VALUES (%s, %s, 'https://example.com/', 't', %s, 'job.failed', %s, %s)",
                (new_id(), self.account, job_id, SECRET.encode(), status),
            )

    def label(self, job_id: UUID) -> None:
        with self.pool.connection() as connection:
            connection.execute(
                "INSERT INTO feedback (job_id, account_id, correct, expected, comment)"
                " VALUES (%s, %s, false, %s, %s)",
                (job_id, self.account, json.dumps({"text": SECRET}), SECRET),
            )

    def keep_for(
        self, inputs: float | None, outputs: float | None, *, labelled: bool = False
    ) -> int:
        """Apply a version of the feature that keeps content for so many days; its id."""
        feature = replace(two_tiers(), retention=Retention(inputs, outputs, labelled))
        with self.pool.connection() as connection:
            return add_version(connection, feature, "")[0].id

    def draft(self, retention: Retention, name: str) -> int:
        """A draft of a feature that keeps content for so many days; its id."""
        feature = replace(two_tiers(name), retention=retention)
        with self.pool.connection() as connection:
            return add_draft(connection, feature, "").id

    def holds(self, table: str, job_id: UUID) -> bool:
        """Whether the secret stands anywhere in the table's rows of the job."""
        name = "id" if table == "jobs" else "job_id"
        with self.pool.connection() as connection:
            rows = connection.execute(
                f"SELECT row_to_json(t)::text || {_bytes(table)} FROM {table} t WHERE {name} = %s",
                (job_id,),
            ).fetchall()
        return any(SECRET in text for (text,) in rows)

    def holding(self, job_id: UUID) -> set[str]:
        tables = ("jobs", "job_requests", "attempts", "answers", "calls", "feedback", "deliveries")
        return {table for table in tables if self.holds(table, job_id)}

    def one(self, statement: str, *arguments: object) -> Any:
        with self.pool.connection() as connection:
            row = connection.execute(statement, arguments).fetchone()
        assert row is not None
        return row if len(row) > 1 else row[0]


def _bytes(table: str) -> str:
    return "coalesce(encode(body, 'escape'), '')" if table == "deliveries" else "''"


@pytest.fixture
def kept(fresh_database_url: str) -> Iterator[RetentionScene]:
    with create_pool(fresh_database_url, "test", 16) as pool:
        with pool.connection() as connection:
            account = add_account(connection, "acme")
            version = add_feature(connection, two_tiers())
        yield RetentionScene(pool, account, version)
