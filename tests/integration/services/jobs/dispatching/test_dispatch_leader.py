"""The dispatcher that leads: one at a time, and it reads only what it may send."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_account,
    add_feature,
    add_job,
    one_tier,
    two_tiers,
)
from tests.support.scenes.dispatching import (
    account,
    fill,
    leading,
    owners,
    read,
    submit,
    take_up,
    versions,
)
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.jobs.dispatching import memory, out_jobs, stored_turns
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.storage.db.engine import PLANNED_ONCE, create_pool
from tierline.storage.jobs import hints


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
        wait_until(lambda: second.lead(other), DEADLINE_S, "the lead to be free")


def test_a_leader_that_is_silent_loses_its_connection(
    pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen process keeps its connection open."""
    monkeypatch.setattr(hints, "LEADS_S", 1)
    with pool.connection() as connection, pool.connection() as other:
        assert Dispatch(4).lead(connection)
        wait_until(lambda: Dispatch(4).lead(other), DEADLINE_S, "the lead to be free")
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
        wait_until(lambda: choose() == {delayed}, DEADLINE_S, "the delayed job to be due")
        with pool.connection() as watcher:
            hints.unmark(watcher, first)
        dispatch.returned()
        assert choose() == set(first)


def test_a_search_finds_a_job_that_no_look_has_shown(
    pool: ConnectionPool[Any], version: int
) -> None:
    owner = account(pool, "acme")
    with leading(pool) as (dispatch, connection):
        assert dispatch.look(connection) == []
        (missed,) = submit(pool, owner, version, 1, run_after=datetime.now(UTC) - timedelta(days=1))
        assert dispatch.look(connection) == []
        dispatch.search(pool)
        assert dispatch.look(connection) == ["slm"]
        assert set(dispatch.choose_on(connection, "slm", 8).queue_of) == {missed}


def test_a_choice_by_memory_is_the_choice_of_who_reads_everything(
    pool: ConnectionPool[Any], two_models: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside some that hold jobs, many accounts wait with one job or more, of two models."""
    monkeypatch.setattr(stored_turns, "STORE_S", 0.0)
    with pool.connection() as connection:
        owners = [add_account(connection, f"acme-{n}", weight=1 + n % 3) for n in range(60)]
        for number, owner in enumerate(owners):
            for _ in range(1 + number % 4):
                add_job(connection, owner, two_models[number % 5 == 0])
    with leading(pool) as (dispatch, connection):
        for round_ in range(12):
            threads = 8 + 4 * round_
            # On the same connection, which holds the lock of the choice.
            with connection.transaction(force_rollback=True):
                expected = Dispatch(4).choose_on(connection, "slm", threads).queue_of
            dispatch.look(connection)
            chosen = dispatch.choose_on(connection, "slm", threads).queue_of
            assert set(chosen) == set(expected)
            assert len(chosen) > 0
            take_up(pool, list(chosen)[::2])


def test_once_the_leader_has_chosen_no_other_dispatcher_chooses(
    pool: ConnectionPool[Any], version: int
) -> None:
    """Not even one of an earlier release, which chooses without the lead."""
    owner = account(pool, "acme")
    with leading(pool) as (dispatch, connection):
        submit(pool, owner, version, 1)
        dispatch.look(connection)
        assert len(dispatch.choose_on(connection, "slm", 16).queue_of) == 1
        submit(pool, owner, version, 1)
        assert not Dispatch(4).choose(pool, "slm", 16).queue_of
    assert len(Dispatch(4).choose(pool, "slm", 16).queue_of) == 1


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
