"""The dispatcher's choice on a real Postgres: fair, few, and each job once."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_feature,
    of_a_later_release,
    two_tiers,
)
from tests.support.scenes.dispatching import account, choose_hints, leading, owners, submit, take_up
from tierline.services.jobs.dispatching import dispatch as dispatching
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.services.jobs.dispatching.pace import Pace
from tierline.storage.jobs import hints


def test_a_few_hints_go_out_beyond_the_idle_threads(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), version, 40)
    assert len(choose_hints(pool, "slm", threads=16, spare=4).queue_of) == 20
    assert choose_hints(pool, "slm", threads=16, spare=4).queue_of == {}


def test_more_hints_go_out_while_workers_take_them_quickly(
    pool: ConnectionPool[Any], version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = account(pool, "acme"), account(pool, "globex")
    choices = itertools.count()  # 20 ms apart
    monkeypatch.setattr(
        dispatching, "Pace", lambda spare: Pace(spare, lambda: 0.02 * next(choices))
    )
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

        counts = [ahead() for _ in range(10)]
    assert counts[0] == 4
    assert counts[-1] == 8, "half as many hints as threads go out ahead"


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


def test_hints_of_backfills_go_ahead_and_leave_interactive_hints_their_room(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex", "initech"):
        submit(pool, account(pool, name), version, 20, backfill=True)
    with leading(pool) as (dispatch, connection):
        dispatch.look(connection)
        choice = dispatch.choose_on(connection, "slm", 16, kept=1)
        assert (len(choice.queue_of), choice.full) == (19, True)
        assert dispatch.choose_on(connection, "slm", 16, kept=1).queue_of == {}
        for name in ("quiet", "other"):
            submit(pool, account(pool, name), version, 15)
        dispatch.look(connection)
        chosen = Counter(dispatch.choose_on(connection, "slm", 16, kept=1).queue_of.values())
        assert chosen == {"slm": 20}


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
        jobs: list[UUID] = []
        for _ in range(10):
            jobs += choose_hints(pool, "slm", threads=60, spare=4).queue_of
        return jobs

    with ThreadPoolExecutor(6) as threads:
        chosen = [job for part in threads.map(race, range(6)) for job in part]
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
    output = capsys.readouterr().out
    assert output.count("feature_version_unreadable") == 1
    assert "version 7 of later has keys that this release does not know (/guard)" in output


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
