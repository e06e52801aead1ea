"""The roll-up counts each call once, whatever commits late, runs long, or is killed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.finished import PAID, QUEUES, RIGHT, WRONG, finish
from tests.support.database.rows import add_account, add_feature, add_job, end_job, two_tiers
from tests.support.database.sums import (
    LONG_AGO,
    as_used,
    from_calls,
    of_reports,
    of_rows,
    roll_up_all,
    total,
)
from tests.support.waiting import DEADLINE_S
from tierline.services.jobs.cancel import cancel
from tierline.storage.db.engine import create_pool
from tierline.storage.jobs import claims
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement
from tierline.storage.reports.roll_up import roll_up, roll_up_history
from tierline.storage.reports.uncounted import snapshot
from tierline.storage.reports.usage import usage


@dataclass
class Scene:
    """A database of its own, with an account and a feature."""

    url: str
    pool: ConnectionPool[Any]
    account: int
    version: int

    def add(self) -> UUID:
        with self.pool.connection() as connection:
            return add_job(connection, self.account, self.version)

    def take(self, job: UUID) -> Claim:
        with self.pool.connection() as connection:
            taken = claims.claim(connection, job, uuid4(), QUEUES, "test")
        assert taken is not None
        return taken

    def end(self, taken: Claim, ended: Ended = RIGHT, settled: Settlement = PAID) -> None:
        with self.pool.connection() as connection:
            finish(connection, taken, ended, settled)

    def run(self, ended: Ended = RIGHT) -> UUID:
        job = self.add()
        self.end(self.take(job), ended)
        return job

    def roll_up(self, most: int = 1000) -> int:
        with self.pool.connection() as connection:
            return roll_up(connection, most)

    def check(self, cost: str | None = None) -> None:
        """Usage, report and economics are what the rows are, in one snapshot."""
        with self.pool.connection() as connection, snapshot(connection):
            expected = from_calls(connection, self.account)
            used = as_used(connection, self.account)
            assert of_reports(connection, "echo") == of_rows(connection)
        assert used == expected
        assert cost is None or total(used) == Decimal(cost)

    def one(self, statement: str, *arguments: object) -> Any:
        with self.pool.connection() as connection:
            row = connection.execute(statement, arguments).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def scene(fresh_database_url: str) -> Iterator[Scene]:
    with create_pool(fresh_database_url, "test", 16) as pool:
        with pool.connection() as connection:
            account = add_account(connection, "acme")
            version = add_feature(connection, two_tiers())
        yield Scene(fresh_database_url, pool, account, version)


def test_what_has_ended_is_counted_once_however_often_it_is_rolled_up(scene: Scene) -> None:
    for _ in range(3):
        scene.run()
    scene.check("0.003")
    assert scene.roll_up() == 3
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 3
    scene.check("0.003")
    assert scene.roll_up() == 0
    scene.check("0.003")
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE NOT daily") == 3


def test_a_steps_limit_leaves_the_rest_for_the_next(scene: Scene) -> None:
    for _ in range(5):
        scene.run()
    assert [scene.roll_up(2) for _ in range(4)] == [2, 2, 1, 0]
    scene.check("0.005")


def test_an_attempt_that_commits_after_younger_ones_were_counted_is_counted(scene: Scene) -> None:
    late = scene.add()
    with psycopg.connect(scene.url) as open_one:  # the transaction is held open
        taken = claims.claim(open_one, late, uuid4(), QUEUES, "test")
        assert taken is not None
        scene.run()
        assert scene.roll_up() == 0  # the late one may still appear before it
        scene.check("0.001")
        finish(open_one, taken, RIGHT, PAID)
        open_one.commit()
    scene.check("0.002")
    scene.roll_up()
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 2
    scene.check("0.002")


def test_an_open_attempt_behind_which_nothing_has_ended_is_counted(scene: Scene) -> None:
    late = scene.add()
    with psycopg.connect(scene.url) as open_one:
        taken = claims.claim(open_one, late, uuid4(), QUEUES, "test")
        assert taken is not None
        assert scene.roll_up() == 0
        finish(open_one, taken, RIGHT, PAID)
        open_one.commit()
    assert scene.roll_up() == 1
    scene.check("0.001")


def test_a_transaction_that_began_between_two_steps_is_not_passed_over(scene: Scene) -> None:
    scene.run()
    with psycopg.connect(scene.url) as open_one:
        claims.claim(open_one, scene.add(), uuid4(), QUEUES, "test")
        scene.run()
        assert scene.roll_up() == 0
        scene.run()
        assert scene.roll_up() == 0
        open_one.rollback()  # its number is never seen
    assert scene.roll_up() == 4
    scene.check("0.003")


def test_an_attempt_that_runs_is_counted_when_it_has_ended(scene: Scene) -> None:
    taken = scene.take(scene.add())
    scene.check("0")
    assert scene.roll_up() == 1
    assert scene.one("SELECT count(*) FROM sums_pending") == 1
    scene.check("0")
    scene.end(taken)
    scene.check("0.001")
    scene.roll_up()
    assert scene.one("SELECT count(*) FROM sums_pending") == 0
    scene.check("0.001")


def test_the_late_cost_of_a_job_that_has_ended_is_counted_once(scene: Scene) -> None:
    job = scene.add()
    taken = scene.take(job)
    with scene.pool.connection() as connection:  # its lease is lost, and it is cancelled
        connection.execute(
            "UPDATE attempts SET ended_at = clock_timestamp(), verdict = 'worker_lost'"
            " WHERE job_id = %s",
            (job,),
        )
        connection.execute(
            "UPDATE jobs SET status = 'cancelled', completed_at = clock_timestamp() WHERE id = %s",
            (job,),
        )
    scene.roll_up()
    with scene.pool.connection() as connection:
        (row,) = usage(connection, scene.account, LONG_AGO, None, ())
    assert (row.calls, row.unknown_cost_calls, row.cost_usd) == (1, 1, 0)
    scene.end(taken)  # the worker is back: its answer is dropped, its cost stays
    for _ in range(2):
        scene.check("0.001")
        scene.roll_up()
    with scene.pool.connection() as connection:
        (row,) = usage(connection, scene.account, LONG_AGO, None, ())
    assert (row.calls, row.unknown_cost_calls, row.cost_usd) == (1, 0, Decimal("0.001"))
    assert scene.one("SELECT sum(jobs) FROM job_sums WHERE daily") == 1


def test_an_attempt_that_was_forgotten_before_it_sent_anything_leaves_nothing(scene: Scene) -> None:
    job = scene.add()
    scene.take(job)
    scene.roll_up()
    with scene.pool.connection() as connection:
        connection.execute("DELETE FROM calls WHERE job_id = %s", (job,))
        connection.execute("DELETE FROM attempts WHERE job_id = %s", (job,))
        connection.execute("UPDATE jobs SET status = 'queued', attempts = 0 WHERE id = %s", (job,))
    scene.check("0")
    scene.end(scene.take(job))  # the same attempt number again
    for _ in range(2):
        scene.roll_up()
        scene.check("0.001")
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 1


def test_a_job_that_ends_while_it_waits_is_counted_once(scene: Scene) -> None:
    never, in_place, removed = scene.add(), scene.add(), scene.add()
    escalated = scene.run(WRONG)
    scene.roll_up()
    for job in (never, escalated):
        with scene.pool.connection() as connection:
            cancel(connection, scene.account, job)
    with scene.pool.connection() as connection:
        connection.execute(  # as the release before, which does not move it
            "UPDATE jobs SET status = 'cancelled', completed_at = clock_timestamp() WHERE id = %s",
            (in_place,),
        )
        connection.execute("DELETE FROM jobs WHERE id = %s", (removed,))
    assert scene.one("SELECT count(*) FROM sums_pending") == 3
    for _ in range(3):
        scene.roll_up()
    assert scene.one("SELECT sum(jobs) FROM job_sums WHERE daily AND status = 'cancelled'") == 3
    assert scene.one("SELECT count(*) FROM sums_pending") == 0


def test_a_job_counts_once_in_each_group_whatever_calls_it_made(scene: Scene) -> None:
    job = scene.run(WRONG)
    scene.roll_up()
    scene.end(scene.take(job))
    for _ in range(2):
        with scene.pool.connection() as connection:
            (whole,) = usage(connection, scene.account, LONG_AGO, None, ())
            by_tier = usage(connection, scene.account, LONG_AGO, None, ("tier",))
            by_model = usage(connection, scene.account, LONG_AGO, None, ("model",))
        assert (whole.jobs, whole.calls) == (1, 2)
        assert [(row.tier, row.jobs) for row in by_tier] == [("frontier", 1), ("slm", 1)]
        assert [row.jobs for row in by_model] == [1]
        scene.roll_up()


def test_what_the_release_before_writes_is_counted(scene: Scene) -> None:
    """Its statements, by hand: they name no number."""
    job = scene.add()
    with scene.pool.connection() as connection:
        end_job(connection, str(job))
    scene.roll_up()
    scene.check("0.000125")
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 1


def test_many_settlers_and_two_rollers_at_once(scene: Scene) -> None:
    jobs = [scene.add() for _ in range(240)]
    stop = threading.Event()

    def settle(job: UUID) -> None:
        taken = scene.take(job)
        number = int(str(job)[-2:], 16)
        cost = None if number % 5 == 0 else Decimal(number) / 1000
        scene.end(taken, WRONG if number % 3 == 0 else RIGHT, replace(PAID, cost_usd=cost))
        if number % 3 == 0:
            with psycopg.connect(scene.url) as slow:  # rolled up around before it commits
                again = claims.claim(slow, job, uuid4(), QUEUES, "test")
                assert again is not None
                finish(slow, again, RIGHT, PAID)
                scene.roll_up(7)
                slow.commit()

    def keep_rolling() -> None:
        while not stop.is_set():
            scene.roll_up(11)
            scene.check()

    with ThreadPoolExecutor(10) as threads:
        rollers = [threads.submit(keep_rolling) for _ in range(2)]
        settlers = [threads.submit(settle, job) for job in jobs]
        for one in settlers:
            one.result(DEADLINE_S)
        stop.set()
        for one in rollers:
            one.result(DEADLINE_S)
    roll_up_all(scene.pool)
    scene.check()
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == scene.one(
        "SELECT count(*) FROM calls"
    )
    assert scene.one("SELECT sum(jobs) FROM job_sums WHERE daily") == len(jobs)


def test_a_roller_that_is_killed_in_a_step_changes_nothing(scene: Scene) -> None:
    for _ in range(4):
        scene.run()
    with psycopg.connect(scene.url, autocommit=True) as roller:
        (pid,) = roller.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        with psycopg.connect(scene.url) as stranger:
            stranger.execute("LOCK TABLE job_sums IN ACCESS EXCLUSIVE MODE")
            with ThreadPoolExecutor(1) as thread:
                step = thread.submit(roll_up, roller, 1000)
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type"
                while not scene.one(f"{waiting} = 'Lock'", pid):
                    assert not step.done()
                scene.one("SELECT pg_terminate_backend(%s)", pid)
                with pytest.raises(psycopg.OperationalError):
                    step.result(DEADLINE_S)
    scene.check("0.004")
    assert scene.one("SELECT count(*) FROM usage_sums") == 0
    assert scene.roll_up() == 4
    scene.check("0.004")


def test_a_restored_database_goes_on_although_its_new_server_counts_from_the_start(
    scene: Scene,
) -> None:
    scene.run()
    scene.roll_up()
    scene.run()
    with scene.pool.connection() as connection:  # as the old server, long in use, left it
        connection.execute("UPDATE sums_state SET next_visible_to = 2, next_xid = 1::bigint << 60")
    scene.run()
    scene.roll_up()
    scene.check("0.003")
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 3


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_history_is_counted_in_batches_and_usage_is_right_at_each_moment(
    scene: Scene, batch: int
) -> None:
    for _ in range(3):
        scene.run()
    waiting = scene.run(WRONG)
    never, running = scene.add(), scene.add()
    taken = scene.take(running)
    with scene.pool.connection() as connection:  # as the migration finds it
        connection.execute("UPDATE attempts SET seq = NULL")
        connection.execute("TRUNCATE sums_pending")
        connection.execute(
            "UPDATE sums_state SET history_from = %s, since = clock_timestamp(),"
            " rolled_to = (SELECT last_value + 1 FROM attempt_numbers)",
            (UUID(int=0),),
        )
    # Beside it, new work: new jobs, and old ones that go on.
    scene.run()
    scene.end(taken)
    with scene.pool.connection() as connection:
        cancel(connection, scene.account, never)
    scene.end(scene.take(waiting))
    scene.check("0.007")
    more = True
    while more:
        with scene.pool.connection() as connection:
            more = roll_up_history(connection, batch)
        scene.check("0.007")
        scene.roll_up(1)
        scene.check("0.007")
    roll_up_all(scene.pool)
    scene.check("0.007")
    assert scene.one("SELECT history_from IS NULL FROM sums_state")
    assert scene.one("SELECT sum(calls) FROM usage_sums WHERE daily") == 7
    assert scene.one("SELECT sum(jobs) FROM job_sums WHERE daily") == 7
    assert scene.one("SELECT count(*) FROM sums_pending") == 0
