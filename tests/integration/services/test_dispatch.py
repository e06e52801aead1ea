"""The dispatcher's choice on a real Postgres: fair, few, and each job once."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool

from tests.support.rows import add_account, add_feature, add_job, two_tiers
from tierline.services.dispatch import choose_hints, pools_with_jobs
from tierline.storage import hints
from tierline.storage.engine import PLANNED_ONCE, create_pool


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 12) as opened:
        yield opened


@pytest.fixture
def version(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        return add_feature(connection, two_tiers())


def account(pool: ConnectionPool[Any], name: str, weight: int = 1) -> int:
    with pool.connection() as connection:
        return add_account(connection, name, weight)


def submit(
    pool: ConnectionPool[Any], owner: int, version: int, count: int, **columns: Any
) -> list[UUID]:
    with pool.connection() as connection:
        return [add_job(connection, owner, version, **columns) for _ in range(count)]


def owners(pool: ConnectionPool[Any], chosen: Any) -> Counter[int]:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT account_id FROM jobs WHERE id = ANY(%s)", (list(chosen),)
        ).fetchall()
    return Counter(owner for (owner,) in rows)


def test_a_few_hints_go_out_beyond_the_idle_threads(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), version, 40)
    assert len(choose_hints(pool, "slm", threads=16, spare=4).queue_of) == 20
    assert choose_hints(pool, "slm", threads=16, spare=4).queue_of == {}


def test_a_choice_says_whether_more_may_be_waiting(pool: ConnectionPool[Any], version: int) -> None:
    submit(pool, account(pool, "acme"), version, 5)
    submit(pool, account(pool, "globex"), version, 5)
    assert choose_hints(pool, "slm", threads=8, spare=0).full
    assert not choose_hints(pool, "slm", threads=16, spare=4).full


def test_a_flood_does_not_hold_up_a_quiet_account(pool: ConnectionPool[Any], version: int) -> None:
    submit(pool, account(pool, "flood"), version, 200)
    quiet = account(pool, "quiet")
    submit(pool, quiet, version, 2)
    chosen = choose_hints(pool, "slm", threads=8, spare=4).queue_of
    assert owners(pool, chosen)[quiet] == 2


def test_no_account_holds_the_last_eighth_of_the_threads(
    pool: ConnectionPool[Any], version: int
) -> None:
    submit(pool, account(pool, "flood"), version, 100)
    assert len(choose_hints(pool, "slm", threads=64, spare=4).queue_of) == 56


def test_interactive_jobs_go_before_a_backfill(pool: ConnectionPool[Any], version: int) -> None:
    owner = account(pool, "acme")
    submit(pool, owner, version, 9, backfill=True)
    now = submit(pool, owner, version, 3)
    chosen = choose_hints(pool, "slm", threads=4, spare=1).queue_of
    assert set(chosen) < {*now} | set(chosen)
    assert Counter(chosen.values())["slm"] == 2  # the account's limit beside 4 threads
    assert "slm-backfill" not in chosen.values()


def test_only_pools_with_a_job_to_hint_are_looked_into(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "acme")
    assert pools_with_jobs(pool) == []
    submit(pool, owner, version, 1, backfill=True)
    submit(pool, owner, version, 1, tier="frontier", tier_index=1)
    assert pools_with_jobs(pool) == ["slm", "deeper-analysis"]
    choose_hints(pool, "slm", threads=8, spare=4)
    assert pools_with_jobs(pool) == ["deeper-analysis"]


def test_a_job_that_is_not_due_is_not_chosen(pool: ConnectionPool[Any], version: int) -> None:
    submit(pool, account(pool, "acme"), version, 1, run_after="2999-01-01T00:00:00Z")
    assert choose_hints(pool, "slm", threads=8, spare=4).queue_of == {}


def test_many_dispatchers_at_once_choose_each_job_once(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex", "initech"):
        submit(pool, account(pool, name), version, 30)
    start = threading.Barrier(6)

    def race(_: int) -> list[UUID]:
        start.wait()
        found: list[UUID] = []
        for _ in range(10):
            found += choose_hints(pool, "slm", threads=60, spare=4).queue_of
        return found

    with ThreadPoolExecutor(6) as threads:
        chosen = [job for found in threads.map(race, range(6)) for job in found]
    assert len(chosen) == len(set(chosen)) == 64


def test_hints_that_did_not_go_out_may_be_chosen_again(
    pool: ConnectionPool[Any], version: int
) -> None:
    submit(pool, account(pool, "acme"), version, 1)
    chosen = choose_hints(pool, "slm", threads=8, spare=4).queue_of
    with pool.connection() as connection:
        assert [job for job, _, _ in hints.hints_out(connection)] == list(chosen)
        hints.unmark(connection, chosen)
    assert choose_hints(pool, "slm", threads=8, spare=4).queue_of.keys() == chosen.keys()


READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'jobs')
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs')
"""


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_choice_reads_a_few_rows_of_a_long_backlog_behind_a_long_history(
    fresh_database_url: str, analyzed: bool
) -> None:
    long = 20_000
    with (
        create_pool(fresh_database_url, "test", 1, PLANNED_ONCE) as pool,
        pool.connection() as connection,
    ):
        version = add_feature(connection, two_tiers())
        owners = [add_account(connection, name) for name in ("acme", "globex")]
        for status in ("completed", "queued"):
            connection.execute(
                "INSERT INTO jobs"
                " (id, account_id, feature_version_id, status, tier, tier_index, queue)"
                " SELECT gen_random_uuid(), (%s::bigint[])[1 + n %% 2], %s, %s, 'slm', 0, 'slm'"
                " FROM generate_series(1, %s) n",
                (owners, version, status, long),
            )
        connection.execute("ANALYZE jobs" if analyzed else "SELECT 1")

    with create_pool(fresh_database_url, "test", 1, PLANNED_ONCE) as pool:

        def read() -> int:
            with pool.connection() as connection:
                connection.execute("SELECT pg_stat_force_next_flush()")
                row = connection.execute(READ).fetchone()
                assert row is not None
                return int(row[0])

        before = read()
        for threads in range(20, 120, 10):
            assert pools_with_jobs(pool) == ["slm"]
            assert len(choose_hints(pool, "slm", threads, spare=4).queue_of) > 0
        assert read() - before < long / 10
