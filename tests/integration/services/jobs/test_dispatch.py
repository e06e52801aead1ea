"""The dispatcher's choice on a real Postgres: fair, few, and each job once."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_account,
    add_feature,
    add_job,
    of_a_later_release,
    one_tier,
    three_tiers,
    two_tiers,
)
from tests.support.scenes.dispatching import account, choose_hints, leading, owners, submit, take_up
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.services.jobs import dispatch as dispatching
from tierline.services.jobs import memory, out_jobs
from tierline.services.jobs.dispatch import Choice, Dispatch
from tierline.storage.calls import circuits
from tierline.storage.db.engine import PLANNED_ONCE, create_pool
from tierline.storage.jobs import hints


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


def choose_hints(
    pool: ConnectionPool[Any], name: str, threads: int, spare: int, most: int | None = None
) -> Choice:
    """One choice of a dispatcher that has just started."""
    return Dispatch(spare, most).choose(pool, name, threads)


@pytest.fixture
def no_rescan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read once only, when the dispatcher begins to lead."""
    monkeypatch.setattr(out_jobs, "RESCAN_S", 3600.0)


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


def test_a_few_hints_go_out_beyond_the_idle_threads(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), version, 40)
    assert len(choose_hints(pool, "slm", threads=16, spare=4).queue_of) == 20
    assert choose_hints(pool, "slm", threads=16, spare=4).queue_of == {}


def test_more_hints_go_out_while_workers_take_them_quickly(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner, other = account(pool, "acme"), account(pool, "globex")
    with leading(pool) as (dispatch, connection):

        def ahead() -> int:
            """Hints beyond the 16 threads in the next choice, when all that went out have ended."""
            for one in (owner, other):
                submit(pool, one, version, 12)
            dispatch.look(connection)
            chosen = dispatch.choose_on(connection, "slm", 16).queue_of
            connection.execute(
                "UPDATE jobs SET status = 'completed', completed_at = now(), part = 2"
                " WHERE id = ANY(%s)",
                (list(chosen),),
            )
            return len(chosen) - 16

        assert ahead() == 4
        wait_until(
            lambda: ahead() == 8, DEADLINE_S, "half as many hints as threads to go out ahead"
        )


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


def test_interactive_jobs_take_the_threads_that_their_accounts_backfill_may_not(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "acme")
    submit(pool, owner, version, 40, backfill=True)
    take_up(pool, choose_hints(pool, "slm", threads=16, spare=4).queue_of)
    submit(pool, owner, version, 40)
    chosen = choose_hints(pool, "slm", threads=16, spare=4).queue_of
    assert list(chosen.values()) == ["slm", "slm"]
    take_up(pool, chosen)
    assert choose_hints(pool, "slm", threads=16, spare=4).queue_of == {}


def test_backfills_of_several_accounts_leave_a_thread_to_an_interactive_job(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex", "initech"):
        submit(pool, account(pool, name), version, 20, backfill=True)
    backfills = choose_hints(pool, "slm", threads=16, spare=4).queue_of
    assert len(backfills) == 15
    assert choose_hints(pool, "slm", threads=16, spare=4).queue_of == {}
    (quick,) = submit(pool, account(pool, "quiet"), version, 1)
    assert set(choose_hints(pool, "slm", threads=16, spare=4).queue_of) == {quick}


def test_only_pools_with_a_job_to_hint_are_looked_into(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "acme")
    with leading(pool) as (dispatch, connection):
        assert dispatch.look(connection) == []
        submit(pool, owner, version, 1, backfill=True)
        submit(pool, owner, version, 1, tier="frontier", tier_index=1)
        assert dispatch.look(connection) == ["slm", "deeper-analysis"]
        assert dispatch.choose_on(connection, "slm", 8).queue_of
        assert not dispatch.choose_on(connection, "slm", 8).queue_of
        assert dispatch.look(connection) == ["deeper-analysis"]


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
        assert [job.job_id for job in hints.out(connection) if job.hinted] == list(chosen)
        hints.unmark(connection, chosen)
    assert choose_hints(pool, "slm", threads=8, spare=4).queue_of.keys() == chosen.keys()


def test_jobs_that_a_stranger_has_locked_keep_those_behind_them_from_nothing(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "acme")
    locked = submit(pool, owner, version, 30)
    behind = submit(pool, owner, version, 3)
    dispatch = Dispatch(4)
    with pool.connection() as stranger, stranger.transaction():
        stranger.execute("SELECT FROM jobs WHERE id = ANY(%s) FOR UPDATE", (locked,))
        chosen = [
            job for _ in range(10) for job in dispatch.choose(pool, "slm", threads=8).queue_of
        ]
        assert set(chosen) == set(behind)


def test_a_version_of_a_later_release_is_left_out_of_the_choice_and_said_once(
    pool: ConnectionPool[Any], version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pool.connection() as connection:
        later = add_feature(connection, two_tiers("later"), version=7)
        of_a_later_release(connection, later)
    submit(pool, account(pool, "first"), later, 100)
    owner = account(pool, "acme")
    submit(pool, owner, later, 100)
    mine = submit(pool, owner, version, 3)
    with pool.connection() as connection:  # a worker of that release has two of them
        connection.execute(
            "UPDATE jobs SET status = 'in_progress' WHERE id IN"
            " (SELECT id FROM jobs WHERE feature_version_id = %s LIMIT 2)",
            (later,),
        )
    dispatch = Dispatch(4)
    assert dispatch.choose(pool, "slm", threads=16).queue_of.keys() == set(mine)
    assert dispatch.choose(pool, "slm", threads=16).queue_of == {}
    said = capsys.readouterr().out
    assert said.count("feature_version_unreadable") == 1
    assert "version 7 of later has keys that this release does not know (/guard)" in said


@pytest.fixture
def two_models(pool: ConnectionPool[Any]) -> tuple[int, int]:
    """Versions of a feature on a model that may be slow, and of one on another."""
    with pool.connection() as connection:
        return (
            add_feature(connection, one_tier("slow", "openai:slow")),
            add_feature(connection, one_tier("quick", "b:quick")),
        )


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


def choose_until_full(pool: ConnectionPool[Any], threads: int) -> Counter[int]:
    """Choose and take up until nothing more goes out; how many of each version run."""
    dispatch, running = Dispatch(4), Counter[int]()
    while chosen := dispatch.choose(pool, "slm", threads).queue_of:
        take_up(pool, chosen)
        running += versions(pool, chosen)
    return running


def test_a_model_that_hangs_fills_its_share_and_an_accounts_other_jobs_go_on(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    owner = account(pool, "acme")
    submit(pool, owner, slow, 100)
    assert choose_until_full(pool, 16) == {slow: 12}
    submit(pool, owner, quick, 1)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {quick: 1}


def test_a_model_that_hangs_leaves_threads_however_many_accounts_ask_it(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    for name in ("acme", "globex", "initech"):
        submit(pool, account(pool, name), slow, 40)
    assert choose_until_full(pool, 16) == {slow: 14}
    submit(pool, account(pool, "umbrella"), quick, 9)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of)[quick] >= 2


MID: dict[str, Any] = {"tier": "mid", "tier_index": 1}
FRONTIER: dict[str, Any] = {"tier": "frontier", "tier_index": 2}


def refuse(pool: ConnectionPool[Any], model: str) -> None:
    """Its key was refused, as a worker notes it; the next probe is far off."""
    with pool.connection() as connection:
        circuits.open_circuit(connection, model, "KEY", "the key was refused", 3600.0)


@pytest.mark.parametrize("backfill", [False, True])
def test_a_tier_whose_key_is_refused_hides_no_other_tier_of_its_version(
    pool: ConnectionPool[Any], backfill: bool
) -> None:
    with pool.connection() as connection:
        version = add_feature(connection, three_tiers())
    owner = account(pool, "acme")
    refuse(pool, "openai:mid")
    submit(pool, owner, version, 100, backfill=backfill, **MID)
    frontier = submit(pool, owner, version, 5, backfill=backfill, **FRONTIER)
    chosen = choose_hints(pool, "deeper-analysis", 64, 4).queue_of
    assert chosen.keys() == set(frontier)


def test_a_tier_whose_model_hangs_hides_no_other_tier_of_its_version(
    pool: ConnectionPool[Any],
) -> None:
    with pool.connection() as connection:
        version = add_feature(connection, three_tiers())
    owner = account(pool, "acme")
    submit(pool, owner, version, 300, **MID)
    dispatch, held = Dispatch(4), 0
    while chosen := dispatch.choose(pool, "deeper-analysis", 64).queue_of:
        take_up(pool, chosen)
        held += len(chosen)
    assert 0 < held < 64
    frontier = submit(pool, owner, version, 5, **FRONTIER)
    assert dispatch.choose(pool, "deeper-analysis", 64).queue_of.keys() == set(frontier)


def test_models_that_both_have_a_backlog_share_the_threads(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    for name in ("acme", "globex"):
        owner = account(pool, name)
        for version in two_models:
            submit(pool, owner, version, 40)
    assert choose_until_full(pool, 16) == dict.fromkeys(two_models, 10)


def test_jobs_that_their_account_may_not_have_take_no_share_from_another_model(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    limited = account(pool, "limited")
    with pool.connection() as connection:
        connection.execute("UPDATE accounts SET max_jobs_in_progress = 1 WHERE id = %s", (limited,))
    submit(pool, limited, slow, 40)
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), quick, 20)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {slow: 1, quick: 14}


def test_with_one_model_in_use_no_thread_is_kept_free_of_it(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), version, 40)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {version: 20}


def test_an_accounts_own_limit_holds_over_all_pools(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner, free = account(pool, "limited"), account(pool, "free")
    with pool.connection() as connection:
        connection.execute("UPDATE accounts SET max_jobs_in_progress = 5 WHERE id = %s", (owner,))
    for one in (owner, free):
        submit(pool, one, version, 20)
        submit(pool, one, version, 20, tier="frontier", tier_index=1)
    first = choose_hints(pool, "slm", 6, 0).queue_of
    assert owners(pool, first) == {owner: 3, free: 3}
    second = choose_hints(pool, "deeper-analysis", 16, 4).queue_of
    assert owners(pool, second) == {owner: 2, free: 14}
    take_up(pool, second)
    assert owners(pool, choose_hints(pool, "slm", 16, 4).queue_of).keys() == {free}


def test_a_default_limit_holds_for_accounts_without_their_own(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner, other = account(pool, "acme"), account(pool, "globex")
    with pool.connection() as connection:
        connection.execute("UPDATE accounts SET max_jobs_in_progress = 7 WHERE id = %s", (other,))
    for one in (owner, other):
        submit(pool, one, version, 20)
    assert owners(pool, choose_hints(pool, "slm", 16, 4, most=3).queue_of) == {owner: 3, other: 7}


def test_many_dispatchers_at_once_do_not_take_an_account_past_its_limit(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "limited")
    with pool.connection() as connection:
        connection.execute("UPDATE accounts SET max_jobs_in_progress = 6 WHERE id = %s", (owner,))
    submit(pool, owner, version, 30)
    submit(pool, owner, version, 30, tier="frontier", tier_index=1)
    start = threading.Barrier(6)

    def race(number: int) -> int:
        start.wait()
        name = ("slm", "deeper-analysis")[number % 2]
        return sum(len(choose_hints(pool, name, 32, 4).queue_of) for _ in range(10))

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(race, range(6))) == 6


READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
        WHERE relname ~ '^jobs(_live|_ended.*)$')
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
        WHERE relname ~ '^jobs(_live|_ended.*)$')
"""


@pytest.mark.usefixtures("no_rescan")
@pytest.mark.parametrize("analyzed", [False, True])
def test_a_job_behind_a_flood_for_a_model_that_hangs_is_found_by_a_few_reads(
    fresh_database_url: str, analyzed: bool
) -> None:
    long = 20_000
    with (
        create_pool(fresh_database_url, "test", 2, PLANNED_ONCE) as pool,
        leading(pool) as (dispatch, connection),
    ):
        slow = add_feature(connection, one_tier("slow", "openai:slow"))
        quick = add_feature(connection, one_tier("quick", "b:quick"))
        owner = add_account(connection, "acme")
        fill(connection, [owner], slow, long)
        connection.execute("ANALYZE jobs" if analyzed else "SELECT 1")
        running = 0
        assert dispatch.look(connection) == ["slm"]  # the first look is at everything
        while chosen := dispatch.choose_on(connection, "slm", 16).queue_of:
            take_up(pool, chosen)
            running += len(chosen)
        assert running == 12
        submit(pool, owner, quick, 1)
        before = read(connection)
        dispatch.look(connection)
        assert versions(pool, dispatch.choose_on(connection, "slm", 16).queue_of) == {quick: 1}
        assert read(connection) - before < long / 100


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


@pytest.mark.usefixtures("no_rescan")
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
            fill(connection, owners, version, long, status)
        connection.execute("ANALYZE jobs" if analyzed else "SELECT 1")

    with (
        create_pool(fresh_database_url, "test", 2, PLANNED_ONCE) as pool,
        leading(pool) as (dispatch, connection),
    ):
        assert dispatch.look(connection) == ["slm"]  # the first look is at everything
        assert len(dispatch.choose_on(connection, "slm", 20).queue_of) > 0
        before = read(connection)
        for threads in range(30, 130, 10):
            assert dispatch.look(connection) == ["slm"]
            assert len(dispatch.choose_on(connection, "slm", threads).queue_of) > 0
        assert read(connection) - before < long / 5


def test_one_dispatcher_leads_until_its_connection_ends(pool: ConnectionPool[Any]) -> None:
    first, second = Dispatch(4), Dispatch(4)
    with pool.connection() as connection, pool.connection() as other:
        assert first.lead(connection)
        assert not second.lead(other)
        connection.close()
        wait_until(lambda: second.lead(other), 20, "the lead to be free")


def test_a_leader_that_is_silent_loses_its_connection(
    pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen process keeps its connection open."""
    monkeypatch.setattr(hints, "LEADS_S", 1)
    with pool.connection() as connection, pool.connection() as other:
        assert Dispatch(4).lead(connection)
        wait_until(lambda: Dispatch(4).lead(other), 20, "the lead to be free")
        with pytest.raises(OperationalError):
            connection.execute("SELECT 1")


def test_who_leads_sees_jobs_that_arrive_that_return_and_that_were_committed_late(
    pool: ConnectionPool[Any], version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_jobs, "RESCAN_S", 3600.0)
    monkeypatch.setattr(memory, "LATE_EVERY_S", 0.0)
    owner, other = account(pool, "acme"), account(pool, "globex")
    with leading(pool) as (dispatch, connection):

        def choose() -> set[UUID]:
            dispatch.look(connection)
            return set(dispatch.choose_on(connection, "slm", 32).queue_of)

        assert choose() == set()
        first = submit(pool, owner, version, 3)
        assert choose() == set(first)
        (late,) = submit(
            pool, other, version, 1, run_after=datetime.now(UTC) - timedelta(seconds=3)
        )
        assert choose() == {late}
        (delayed,) = submit(
            pool, owner, version, 1, run_after=datetime.now(UTC) + timedelta(seconds=1)
        )
        assert choose() == set()
        wait_until(lambda: choose() == {delayed}, 20, "the delayed job to be due")
        with pool.connection() as watcher:
            hints.unmark(watcher, first)
        dispatch.returned()
        assert choose() == set(first)


def test_a_choice_by_memory_is_the_choice_of_who_reads_everything(
    pool: ConnectionPool[Any], two_models: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside some that hold jobs, many accounts wait with one job or more, of two models."""
    monkeypatch.setattr(dispatching, "STORE_TURNS_S", 0.0)
    with pool.connection() as connection:
        owners = [add_account(connection, f"acme-{n}", weight=1 + n % 3) for n in range(60)]
        for number, owner in enumerate(owners):
            for _ in range(1 + number % 4):
                add_job(connection, owner, two_models[number % 5 == 0])
    with leading(pool) as (dispatch, connection):
        for round_ in range(12):
            threads = 8 + 4 * round_
            with pool.connection() as other, other.transaction(force_rollback=True):
                expected = Dispatch(4).choose_on(other, "slm", threads).queue_of
            dispatch.look(connection)
            chosen = dispatch.choose_on(connection, "slm", threads).queue_of
            assert set(chosen) == set(expected)
            assert len(chosen) > 0
            take_up(pool, list(chosen)[::2])


def test_choosing_among_thousands_of_accounts_reads_few_rows(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_jobs, "RESCAN_S", 3600.0)
    accounts = 5_000
    with (
        create_pool(fresh_database_url, "test", 2, PLANNED_ONCE) as pool,
        leading(pool) as (dispatch, connection),
    ):
        version = add_feature(connection, two_tiers())
        rows = connection.execute(
            "INSERT INTO accounts (name, webhook_secret) SELECT 'acme-' || n, 'whsec_x'"
            " FROM generate_series(1, %s) n RETURNING id",
            (accounts,),
        )
        many = [owner for (owner,) in rows]
        fill(connection, many, version, 2 * accounts)
        connection.execute("ANALYZE jobs")
        dispatch.look(connection)  # the first look is at everything
        seen: set[int] = set()
        dispatch.choose_on(connection, "slm", 4)
        before = read(connection)
        for threads in range(8, 48, 4):
            dispatch.look(connection)
            chosen = dispatch.choose_on(connection, "slm", threads).queue_of
            assert len(chosen) == 4
            served = set(owners(pool, chosen))
            assert seen.isdisjoint(served)
            seen |= served
        assert read(connection) - before < 10 * 500
