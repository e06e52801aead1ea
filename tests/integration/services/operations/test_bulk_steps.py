"""Steps of bulk actions: several workers, killed workers, and what the steps wait for."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from tests.support.database.rows import end_job
from tests.support.scenes.bulk_actions import Scene
from tests.support.waiting import wait_until
from tierline.base.errors import NotFound
from tierline.base.ids import new_id
from tierline.rules.bulk_actions import Action
from tierline.services.money.budgets import set_budget
from tierline.services.operations import bulk_actions, bulk_steps
from tierline.services.operations.bulk_hints import due_bulk_actions
from tierline.services.operations.bulk_steps import step_bulk_action

STEPPER = """
import sys
from uuid import UUID
from tierline.services.operations import bulk_steps
from tierline.storage.db.engine import create_pool
with create_pool(sys.argv[1], "stepper", 1) as pool, pool.connection() as connection:
    while bulk_steps.step_bulk_action(connection, UUID(sys.argv[2])):
        print("stepped", flush=True)
"""


def test_pages_that_match_little_are_walked_through(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_steps, "EXAMINED", 2)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 2)
    oldest = scene.jobs(1, "failed")
    scene.jobs(5, "completed")
    newest = scene.jobs(1, "failed")
    id = scene.begin(Action.RETRY, status="failed")
    assert bulk_actions.action_of(scene.db, scene.account, id).matched == 2
    assert scene.run(id).done == 2
    assert sorted(scene.made_from(id)) == sorted(map(str, [*oldest, *newest]))


def test_two_workers_at_once_and_an_abort_handle_no_job_twice(scene: Scene) -> None:
    jobs = scene.jobs(60, "failed")
    id = scene.begin(Action.RETRY)
    workers = 4
    start = threading.Barrier(workers)

    def work(_: int) -> int:
        start.wait()
        done = 0
        with scene.pool.connection() as connection:
            while bulk_actions.action_of(connection, scene.account, id).status == "running":
                done += step_bulk_action(connection, id)
        return done

    with ThreadPoolExecutor(workers) as crowd:
        done = list(crowd.map(work, range(workers)))
    bulk_action = bulk_actions.action_of(scene.db, scene.account, id)
    assert (bulk_action.status, bulk_action.done, sum(done)) == ("completed", 60, 60)
    assert sorted(scene.made_from(id)) == sorted(map(str, jobs))


def test_a_worker_that_is_killed_in_the_middle_loses_nothing_and_repeats_nothing(
    scene: Scene, fresh_database_url: str
) -> None:
    jobs = scene.jobs(40, "failed")
    id = scene.begin(Action.RETRY)
    # The stepper waits in the middle of one job, after others: this one's row is locked.
    blocked = jobs[20]
    with psycopg.connect(fresh_database_url) as holding:
        holding.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (blocked,))
        stepper = subprocess.Popen(
            [sys.executable, "-c", STEPPER, fresh_database_url, str(id)], env=dict(os.environ)
        )
        try:
            wait_until(
                lambda: stepper.poll() is not None or _waits(scene.db), 60, "the step to be midway"
            )
            assert stepper.poll() is None
        finally:
            stepper.kill()
            stepper.wait(30)
        bulk_action = bulk_actions.action_of(scene.db, scene.account, id)
        assert (bulk_action.status, bulk_action.done) == ("running", 19)
    wait_until(lambda: not _stepping(scene.db), 30, "Postgres to end the killed transaction")
    assert scene.run(id).done == 40
    assert sorted(scene.made_from(id)) == sorted(map(str, jobs))


def _waits(db: Connection[Any]) -> bool:
    waiting = db.execute(
        "SELECT FROM pg_stat_activity WHERE application_name = 'tierline-stepper'"
        " AND wait_event_type = 'Lock'"
    )
    return waiting.fetchone() is not None


def _stepping(db: Connection[Any]) -> bool:
    statement = "SELECT FROM pg_stat_activity WHERE application_name = 'tierline-stepper'"
    return db.execute(statement).fetchone() is not None


def test_an_aborted_action_does_no_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_steps, "STEP_S", 0.0)
    scene.jobs(3)
    id = scene.begin(Action.CANCEL)
    with scene.pool.connection() as other:
        assert bulk_actions.abort(other, scene.account, id).status == "aborted"
    assert step_bulk_action(scene.db, id) == 0
    assert bulk_actions.abort(scene.db, scene.account, id).status == "aborted"
    assert scene.db.execute("SELECT FROM jobs WHERE status = 'cancelled'").fetchall() == []
    with pytest.raises(NotFound):
        bulk_actions.abort(scene.db, scene.account, new_id())


def test_a_due_action_is_hinted_once_and_again_when_its_hint_is_lost(scene: Scene) -> None:
    scene.jobs(1)
    id = scene.begin(Action.CANCEL)
    assert due_bulk_actions(scene.pool) == [id]
    assert due_bulk_actions(scene.pool) == []
    scene.db.execute("UPDATE bulk_actions SET step_at = clock_timestamp()")
    assert due_bulk_actions(scene.pool) == [id]
    scene.run(id)
    assert due_bulk_actions(scene.pool) == []


def test_it_waits_while_the_account_may_queue_no_more_jobs(scene: Scene) -> None:
    scene.jobs(3, "failed")
    waiting = scene.jobs(1)
    scene.db.execute("UPDATE accounts SET max_queued_jobs = 2")
    id = scene.begin(Action.RETRY, status="failed")
    assert step_bulk_action(scene.db, id) == 1
    action = bulk_actions.action_of(scene.db, scene.account, id)
    assert (action.status, action.done, action.failed, action.waits_for) == (
        "running",
        1,
        0,
        "queue",
    )
    assert due_bulk_actions(scene.pool) == []
    end_job(scene.db, str(waiting[0]), "completed")
    assert step_bulk_action(scene.db, id) == 1
    scene.db.execute("UPDATE accounts SET max_queued_jobs = NULL")
    action = scene.run(id)
    assert (action.done, action.waits_for) == (3, None)


def test_it_waits_while_a_hard_budget_is_spent(scene: Scene) -> None:
    scene.jobs(2, "failed")
    set_budget(
        scene.db,
        account="acme",
        scope="account",
        key="",
        period="month",
        limit_usd="1",
        hard=True,
    )
    scene.db.execute(
        "INSERT INTO budget_periods (budget_id, key, starts_on, spent_usd)"
        " SELECT id, '', date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC'), 1"
        " FROM budgets"
    )
    id = scene.begin(Action.RETRY)
    assert step_bulk_action(scene.db, id) == 0
    assert bulk_actions.action_of(scene.db, scene.account, id).waits_for == "budget"
    scene.db.execute("UPDATE budgets SET limit_usd = 100")
    assert scene.run(id).done == 2


def test_a_job_that_a_stranger_holds_does_not_stop_the_others(
    scene: Scene, fresh_database_url: str
) -> None:
    jobs = scene.jobs(3)
    id = scene.begin(Action.CANCEL)
    scene.db.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(fresh_database_url) as holding:
        holding.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (jobs[1],))
        action = scene.run(id)
    assert action.done == 2
    assert [(one.reason, one.job_ids) for one in action.errors] == [("locked", [jobs[1]])]
