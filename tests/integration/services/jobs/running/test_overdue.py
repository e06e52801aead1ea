"""Jobs past their deadline are found, and looks at all deadlines take a bounded share of time."""

import time
from typing import Any

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tierline.services.jobs.running.recover import Looks, expire_overdue
from tierline.storage.db.engine import create_pool
from tierline.storage.jobs.recovery import EVER_S


class Slow(Looks):
    SHORT_S = -1.0  # each look is taken for a long one
    SHARE = 1e9


def job_due(connection: Connection[Any], account: int, version: int, seconds_ago: float) -> Any:
    job = add_job(connection, account, version)
    connection.execute(
        "UPDATE jobs SET deadline_at = clock_timestamp() - make_interval(secs => %s) WHERE id = %s",
        (seconds_ago, job),
    )
    return job


@pytest.fixture
def pool(fresh_database_url: str) -> Any:
    with create_pool(fresh_database_url, "test", 2) as opened:
        yield opened


def test_after_a_long_look_only_the_last_moments_are_looked_at(pool: ConnectionPool[Any]) -> None:
    looks = Slow()
    with pool.connection() as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        old = job_due(connection, account, version, 3600)
        assert expire_overdue(pool, looks) == [old]
        later = job_due(connection, account, version, 3600)
        fresh = job_due(connection, account, version, 5)
        assert expire_overdue(pool, looks) == [fresh]
        assert status_of(connection, later) == "queued"
        looks.next_s = time.monotonic()
        assert expire_overdue(pool, looks) == [later]


def test_short_looks_are_at_all_deadlines() -> None:
    looks = Looks()
    for _ in range(3):
        assert looks.since_s() == EVER_S
        looks.took(EVER_S, time.monotonic())
    looks.took(EVER_S, time.monotonic() - 10)
    assert 60 < looks.since_s() < 80
