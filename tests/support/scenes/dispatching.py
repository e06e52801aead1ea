"""Jobs of some accounts, and a dispatcher that chooses among them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_account,
    add_feature,
    add_job,
    one_tier,
    two_tiers,
)
from tierline.base.ids import new_id
from tierline.services.jobs.dispatching import out_jobs
from tierline.services.jobs.dispatching.dispatch import Choice, Dispatch
from tierline.storage.db.engine import create_pool


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 12) as opened:
        yield opened


@pytest.fixture
def version(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        return add_feature(connection, two_tiers())


@pytest.fixture
def no_rescan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read once only, when the dispatcher begins to lead."""
    monkeypatch.setattr(out_jobs, "RESCAN_S", 3600.0)


def account(pool: ConnectionPool[Any], name: str, weight: int = 1) -> int:
    with pool.connection() as connection:
        return add_account(connection, name, weight)


def submit(
    pool: ConnectionPool[Any], owner: int, version: int, count: int, **columns: Any
) -> list[UUID]:
    with pool.connection() as connection:
        return [add_job(connection, owner, version, **columns) for _ in range(count)]


def choose_hints(
    pool: ConnectionPool[Any], name: str, threads: int, spare: int, most: int | None = None
) -> Choice:
    """One choice of a dispatcher that has just started."""
    return Dispatch(spare, most).choose(pool, name, threads)


@contextmanager
def leading(
    pool: ConnectionPool[Any], spare: int = 4
) -> Iterator[tuple[Dispatch, Connection[Any]]]:
    """The dispatcher that leads, and its connection."""
    dispatch = Dispatch(spare)
    with pool.connection() as connection:
        assert dispatch.lead(connection)
        yield dispatch, connection
        connection.execute("SELECT pg_advisory_unlock_all()")


def owners(pool: ConnectionPool[Any], chosen: Any) -> Counter[int]:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT account_id FROM jobs WHERE id = ANY(%s)", (list(chosen),)
        ).fetchall()
    return Counter(owner for (owner,) in rows)


def versions(pool: ConnectionPool[Any], chosen: Any) -> Counter[int]:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT feature_version_id FROM jobs WHERE id = ANY(%s)", (list(chosen),)
        ).fetchall()
    return Counter(version for (version,) in rows)


def take_up(pool: ConnectionPool[Any], chosen: Any) -> None:
    """As workers do, whose calls then hang."""
    with pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET status = 'in_progress', hint_no = NULL WHERE id = ANY(%s)",
            (list(chosen),),
        )


READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
        WHERE relname ~ '^jobs(_live|_ended.*)$')
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
        WHERE relname ~ '^jobs(_live|_ended.*)$')
"""


def fill(
    connection: Any, owners: list[int], version: int, jobs: int, status: str = "queued"
) -> None:
    """So many jobs of these accounts in turn, due for an hour, in one statement."""
    connection.execute(
        "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
        " run_after, completed_at, part)"
        " SELECT id, (%s::bigint[])[1 + n %% %s], %s, status, 'slm', 0, 'slm',"
        " now() - interval '1 hour',"
        " CASE WHEN status = 'completed' THEN now() END,"
        " CASE WHEN status = 'completed' THEN 2 ELSE 1 END"
        " FROM unnest(%s::uuid[]) WITH ORDINALITY made (id, n), (SELECT %s AS status) chosen",
        (owners, len(owners), version, [new_id() for _ in range(jobs)], status),
    )


def read(connection: Connection[Any]) -> int:
    """How many rows and index entries of jobs were read so far."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def two_models(pool: ConnectionPool[Any]) -> tuple[int, int]:
    """Versions of a feature on a model that may be slow, and of one on another."""
    with pool.connection() as connection:
        return (
            add_feature(connection, one_tier("slow", "openai:slow")),
            add_feature(connection, one_tier("quick", "b:quick")),
        )
