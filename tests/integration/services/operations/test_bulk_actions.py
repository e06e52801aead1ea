"""Bulk actions: each job is handled once, whoever works on it and is killed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_account,
    add_feature,
    add_job,
    end_job,
    three_tiers,
    two_tiers,
)
from tests.support.waiting import wait_until
from tierline.base.errors import Conflict, NotFound
from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.rules.bulk_actions import Action
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.money.budgets import set_budget
from tierline.services.operations import bulk_actions, bulk_steps
from tierline.services.operations.bulk_actions import BulkRequest, Filters
from tierline.services.operations.bulk_hints import due_bulk_actions
from tierline.services.operations.bulk_steps import step_bulk_action
from tierline.storage.db.engine import create_pool
from tierline.storage.operations import bulk_actions as rows
from tierline.views.operations.bulk_actions import BulkAction

STEPPER = """
import sys
from uuid import UUID
from tierline.services.operations import bulk_steps
from tierline.storage.db.engine import create_pool
with create_pool(sys.argv[1], "stepper", 1) as pool, pool.connection() as connection:
    while bulk_steps.step_bulk_action(connection, UUID(sys.argv[2])):
        print("stepped", flush=True)
"""
KEY = 7
PRICED = """
feature: echo
instructions: Repeat the text.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
tiers:
  - name: slm
    models: [openai:small]
    prices: {openai:small: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}}
  - name: frontier
    models: [openai:large]
    prices: {openai:large: {input_usd_per_mtok: 10, output_usd_per_mtok: 10}}
"""


class Scene:
    """An account with jobs of a feature, on a database of the test's own."""

    def __init__(self, db: Connection[Any], pool: ConnectionPool[Any], feature: Feature) -> None:
        self.db, self.pool, self.feature = db, pool, feature
        self.account = add_account(db, "acme")
        self.version = add_feature(db, feature)

    def jobs(self, count: int, status: str | None = None, **more: Any) -> list[UUID]:
        made = []
        for number in range(count):
            job = add_job(self.db, self.account, self.version, input={"text": f"{number}"}, **more)
            if status is not None:
                end_job(self.db, str(job), status)
            made.append(job)
        return made

    def begin(self, action: Action, limit: int | None = None, **filters: Any) -> UUID:
        wanted = BulkRequest(action, Filters(**filters), limit)
        made, new = bulk_actions.begin(self.db, self.account, KEY, wanted)
        assert new
        return made.id

    def run(self, id: UUID) -> BulkAction:
        for _ in range(100):
            step_bulk_action(self.db, id)
            found = bulk_actions.action_of(self.db, self.account, id)
            if found.status != "running":
                return found
        raise AssertionError("the action does not end")

    def made_from(self, id: UUID) -> list[str]:
        """The jobs that the action ran again, each as often as it did."""
        rows = self.db.execute(
            "SELECT decision #>> '{signals,of_job}' FROM job_requests"
            " WHERE decision #>> '{signals,bulk_action}' = %s",
            (str(id),),
        )
        return [job for (job,) in rows]

    def statuses(self, jobs: list[UUID]) -> set[str]:
        rows = self.db.execute("SELECT DISTINCT status FROM jobs WHERE id = ANY(%s)", (jobs,))
        return {status for (status,) in rows}


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 8) as pool:
        yield pool


@pytest.fixture
def scene(pool: ConnectionPool[Any]) -> Iterator[Scene]:
    with pool.connection() as db:
        yield Scene(db, pool, two_tiers())


def test_each_failed_job_of_the_filter_is_retried_once_and_the_new_ones_are_not(
    scene: Scene,
) -> None:
    failed = scene.jobs(5, "failed")
    scene.jobs(2, "completed")
    queued = scene.jobs(1)
    id = scene.begin(Action.RETRY, status="failed")
    found = scene.run(id)
    assert (found.status, found.matched, found.done, found.failed) == ("completed", 5, 5, 0)
    assert sorted(scene.made_from(id)) == sorted(map(str, failed))
    rows = scene.db.execute(
        "SELECT queue, tier FROM jobs WHERE status = 'queued' AND id <> ALL(%s)", (queued,)
    ).fetchall()
    assert rows == [("slm-backfill", "slm")] * 5
    assert scene.run(scene.begin(Action.RETRY, status="failed")).done == 5, "another action may"


def test_jobs_that_it_does_not_apply_to_are_counted_by_reason(scene: Scene) -> None:
    completed, queued = scene.jobs(2, "completed"), scene.jobs(3)
    (removed,) = scene.jobs(1, "failed")
    scene.db.execute("UPDATE jobs SET input_removed_at = now() WHERE id = %s", (removed,))
    scene.jobs(1, "cancelled")
    found = scene.run(scene.begin(Action.RETRY))
    assert (found.matched, found.done, found.failed) == (7, 1, 6)
    told = {error.reason: (error.count, set(error.job_ids)) for error in found.errors}
    assert told == {
        "not_ended": (3, set(queued)),
        "completed": (2, set(completed)),
        "input_removed": (1, {removed}),
    }
    assert [error.count for error in found.errors] == [3, 2, 1]


def test_cancel_ends_what_is_queued_and_asks_what_runs(scene: Scene) -> None:
    queued, (running,) = scene.jobs(3), scene.jobs(1)
    scene.db.execute("UPDATE jobs SET status = 'in_progress' WHERE id = %s", (running,))
    found = scene.run(scene.begin(Action.CANCEL))
    assert (found.done, found.failed) == (4, 0)
    assert scene.statuses(queued) == {"cancelled"}
    asked = scene.db.execute(
        "SELECT status, cancel_requested_at IS NOT NULL FROM jobs WHERE id = %s", (running,)
    ).fetchone()
    assert asked == ("in_progress", True)


def test_content_is_removed_of_ended_jobs(scene: Scene) -> None:
    ended, queued = scene.jobs(2, "completed"), scene.jobs(1)
    found = scene.run(scene.begin(Action.REMOVE_CONTENT))
    assert (found.done, [error.reason for error in found.errors]) == (2, ["not_ended"])
    kept = scene.db.execute("SELECT job_id FROM job_requests WHERE input IS NOT NULL").fetchall()
    assert kept == [(queued[0],)]
    assert len(ended) == 2


def test_deeper_analysis_begins_on_the_tier_behind_the_one_that_ended_the_job(
    pool: ConnectionPool[Any],
) -> None:
    with pool.connection() as db:
        scene = Scene(db, pool, three_tiers())
        tiers = [tier.name for tier in scene.feature.tiers]
        jobs = scene.jobs(3, "completed")
        for place, job in enumerate(jobs):
            db.execute(
                "UPDATE jobs SET tier = %s, tier_index = %s WHERE id = %s",
                (tiers[place], place, job),
            )
        id = scene.begin(Action.DEEPER_ANALYSIS)
        found = scene.run(id)
        assert found.done == 2
        assert [(one.reason, one.job_ids) for one in found.errors] == [("no_later_tier", [jobs[2]])]
        rows = db.execute(
            "SELECT r.decision #>> '{signals,of_job}', j.tier, j.tier_index, j.queue FROM jobs j"
            " JOIN job_requests r ON r.job_id = j.id WHERE j.status = 'queued' ORDER BY 3"
        ).fetchall()
        queue = "deeper-analysis-backfill"
        assert rows == [
            (str(jobs[0]), tiers[1], 1, queue),
            (str(jobs[1]), tiers[2], 2, queue),
        ]


def test_the_filter_decides_and_another_accounts_jobs_are_left_alone(scene: Scene) -> None:
    other = add_account(scene.db, "globex")
    theirs = add_job(scene.db, other, scene.version)
    another = add_feature(scene.db, two_tiers("another"))
    kept = [add_job(scene.db, scene.account, another)]
    mine = scene.jobs(2)
    found = scene.run(scene.begin(Action.CANCEL, feature="echo", status="queued", tier="slm"))
    assert (found.matched, found.done) == (2, 2)
    assert scene.statuses(mine) == {"cancelled"}
    assert scene.statuses([theirs, *kept]) == {"queued"}
    with pytest.raises(NotFound):
        bulk_actions.action_of(scene.db, other, found.id)


def test_a_limit_ends_it_after_so_many_jobs(scene: Scene) -> None:
    scene.jobs(5)
    found = scene.run(scene.begin(Action.CANCEL, limit=2))
    assert (found.status, found.done, found.limit) == ("completed", 2, 2)


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


def test_a_count_stops_at_its_limits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 2)
    scene.jobs(7)
    asked = BulkRequest(Action.CANCEL, Filters())
    monkeypatch.setattr(bulk_actions, "MOST_COUNTED", 3)
    found = bulk_actions.plan(scene.db, scene.account, asked)
    assert (found.matched, found.more) == (3, True)
    monkeypatch.setattr(bulk_actions, "MOST_COUNTED", 100)
    monkeypatch.setattr(bulk_actions, "MOST_EXAMINED", 4)
    assert bulk_actions.plan(scene.db, scene.account, asked).more
    assert scene.run(scene.begin(Action.CANCEL)).done == 7, "the action goes on to the end"


def test_the_cost_is_estimated_before_and_nothing_is_changed(scene: Scene) -> None:
    scene.version = add_feature(scene.db, parse_feature(PRICED), version=2)
    scene.jobs(4, "failed")
    scene.jobs(2, "completed")
    retry = bulk_actions.plan(scene.db, scene.account, BulkRequest(Action.RETRY, Filters()))
    assert retry.matched == 6
    assert retry.at_most_usd is not None
    assert retry.at_most_usd > 0
    deeper = bulk_actions.plan(
        scene.db, scene.account, BulkRequest(Action.DEEPER_ANALYSIS, Filters(status="failed"))
    )
    assert deeper.at_most_usd is not None
    assert 0 < deeper.at_most_usd < retry.at_most_usd, "only the last tier is asked"
    half = bulk_actions.plan(scene.db, scene.account, BulkRequest(Action.RETRY, Filters(), 3))
    assert half.at_most_usd == pytest.approx(retry.at_most_usd / 2)
    for action in (Action.CANCEL, Action.REMOVE_CONTENT):
        free = bulk_actions.plan(scene.db, scene.account, BulkRequest(action, Filters()))
        assert free.at_most_usd == Decimal(0)
    assert scene.db.execute("SELECT FROM bulk_actions").fetchall() == []


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
    found = bulk_actions.action_of(scene.db, scene.account, id)
    assert (found.status, found.done, sum(done)) == ("completed", 60, 60)
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
        found = bulk_actions.action_of(scene.db, scene.account, id)
        assert (found.status, found.done) == ("running", 19)
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
    found = bulk_actions.action_of(scene.db, scene.account, id)
    assert (found.status, found.done, found.failed, found.waits_for) == ("running", 1, 0, "queue")
    assert due_bulk_actions(scene.pool) == []
    end_job(scene.db, str(waiting[0]), "completed")
    assert step_bulk_action(scene.db, id) == 1
    scene.db.execute("UPDATE accounts SET max_queued_jobs = NULL")
    found = scene.run(id)
    assert (found.done, found.waits_for) == (3, None)


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


def test_an_input_that_no_longer_fits_is_a_reason(scene: Scene) -> None:
    (job,) = scene.jobs(1, "failed")
    scene.db.execute("UPDATE job_requests SET input = '{}' WHERE job_id = %s", (job,))
    found = scene.run(scene.begin(Action.RETRY))
    assert [one.reason for one in found.errors] == ["invalid_input"]
    assert found.done == 0


def test_one_key_makes_one_action_and_few_run_at_once(scene: Scene) -> None:
    wanted = BulkRequest(Action.CANCEL, Filters(feature="echo"))

    def begin(request: BulkRequest, key: str | None) -> tuple[BulkAction, bool]:
        return bulk_actions.begin(scene.db, scene.account, KEY, request, key)

    first, new = begin(wanted, "k")
    again, repeated = begin(wanted, "k")
    assert (new, repeated) == (True, False)
    assert again.id == first.id
    with pytest.raises(KeyReused):
        begin(BulkRequest(Action.CANCEL, Filters()), "k")
    for _ in range(bulk_actions.MOST_RUNNING - 1):
        begin(wanted, None)
    with pytest.raises(Conflict, match="running"):
        begin(wanted, None)


def test_a_request_that_comes_again_while_its_jobs_are_counted_is_not_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_actions, "MOST_RUNNING", 1)
    wanted = BulkRequest(Action.CANCEL, Filters())
    next_seq = rows.next_seq
    made = []

    def again(connection: Connection[Any]) -> int:
        monkeypatch.setattr(rows, "next_seq", next_seq)
        made.append(bulk_actions.begin(scene.db, scene.account, KEY, wanted, "key"))
        return next_seq(connection)

    monkeypatch.setattr(rows, "next_seq", again)
    found, new = bulk_actions.begin(scene.db, scene.account, KEY, wanted, "key")
    assert (made, new) == ([(found, True)], False)


def test_a_job_that_a_stranger_holds_does_not_stop_the_others(
    scene: Scene, fresh_database_url: str
) -> None:
    jobs = scene.jobs(3)
    id = scene.begin(Action.CANCEL)
    scene.db.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(fresh_database_url) as holding:
        holding.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (jobs[1],))
        found = scene.run(id)
    assert found.done == 2
    assert [(one.reason, one.job_ids) for one in found.errors] == [("locked", [jobs[1]])]
