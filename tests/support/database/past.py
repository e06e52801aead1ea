"""A database whose tables of history have a partition for each of the last weeks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tests.support.database.sums import roll_up_all
from tierline.base.ids import new_id
from tierline.rules.partitions import WEEK, week_of
from tierline.storage.db.clock import now
from tierline.storage.db.engine import connect, create_pool
from tierline.storage.upkeep import partitions

WEEKS = 6


def id_at(at: datetime) -> UUID:
    """A UUIDv7 that was made then."""
    ms = int(at.timestamp() * 1000)
    return UUID(int=ms << 80 | new_id().int & (1 << 80) - 1)


class Past:
    """Jobs of the last weeks, with a row in each table of history."""

    def __init__(self, url: str, pool: ConnectionPool[Any], connection: Connection[Any]) -> None:
        self.url = url
        self.pool, self.connection = pool, connection
        self.account = add_account(connection, "acme")
        self.version = add_feature(connection, two_tiers())
        self.now = now(connection)

    def at(self, weeks_ago: int) -> datetime:
        """In the middle of that week."""
        return week_of(self.now) - weeks_ago * WEEK + timedelta(days=3)

    def job(self, weeks_ago: int, *, settled: bool = True, **columns: Any) -> UUID:
        """A job that was submitted and ended then. `settled` false: its call was cut by a crash."""
        at = self.at(weeks_ago)
        ended = {"status": "completed", "completed_at": at, "attempts": 1, "part": 2}
        ended["created_at"] = at
        do = self.connection.execute
        with self.connection.transaction():
            job = add_job(
                self.connection, self.account, self.version, id=id_at(at), **ended | columns
            )
            do(
                "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker,"
                " started_at, ended_at, verdict)"
                " VALUES (%s, 1, %s, 'slm', 'slm', 'test', %s, %s, 'passed')",
                (job, new_id(), at, at),
            )
            do(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
                " booked_at, settled_at, cost_usd)"
                " VALUES (%s, 1, 1, %s, 'answer', 'openai:small', %s, %s, %s)",
                (job, self.account, at, at if settled else None, 1 if settled else None),
            )
            do("INSERT INTO answers (job_id, attempt, text) VALUES (%s, 1, 'it')", (job,))
            do(
                "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models,"
                " signals, served, inclusion, drawn, noted_at)"
                " VALUES (%s, 1, 'echo', 'r', 'f', 'm', '{}', true, 1, true, %s)",
                (job, at),
            )
        self.delivery(job, weeks_ago, "delivered")
        roll_up_all(self.pool)
        return job

    def delivery(self, job: UUID, weeks_ago: int, status: str) -> UUID:
        """A webhook of the job that was made then."""
        id = id_at(self.at(weeks_ago))
        self.connection.execute(
            "INSERT INTO deliveries (id, account_id, url, target, job_id, event, status,"
            " next_try_at) VALUES (%s, %s, 'https://receiver.invalid', 't', %s, 'job.completed',"
            " %s, clock_timestamp())",
            (id, self.account, job, status),
        )
        return id

    def weeks(self) -> dict[str, int]:
        """By table, how many partitions end in the past."""
        return {
            table: sum(one.ends_at <= self.now for one in there)
            for table, there in partitions.every(self.connection).items()
        }


def divide(connection: Connection[Any]) -> None:
    """Make a partition for each week, instead of those of a new database, if there is none yet."""
    if any(one.ends_at <= now(connection) for one in partitions.every(connection)["calls"]):
        return
    for there in partitions.every(connection).values():
        for one in there:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(one.name)))
    at = now(connection)
    for weeks in range(WEEKS, -1, -1):
        partitions.make_ahead(connection, at - weeks * WEEK)


@contextmanager
def past_weeks(url: str) -> Iterator[Past]:
    """The database at `url`, which must be empty. That of `past_database_url` starts sooner."""
    with connect(url, "test") as connection:
        divide(connection)
    with create_pool(url, "test") as pool, pool.connection() as connection:
        yield Past(url, pool, connection)
