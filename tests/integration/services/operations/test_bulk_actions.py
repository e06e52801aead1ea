"""Bulk actions: which jobs they change, what they count and estimate, and how they begin."""

from decimal import Decimal
from typing import Any

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, three_tiers, two_tiers
from tests.support.scenes.bulk_actions import KEY, Scene
from tierline.base.errors import Conflict, NotFound
from tierline.features.parse import parse_feature
from tierline.rules.bulk_actions import Action
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.operations import bulk_actions
from tierline.services.operations.bulk_actions import BulkRequest, Filters
from tierline.storage.operations import bulk_actions as rows
from tierline.views.operations.bulk_actions import BulkAction

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


def test_each_failed_job_of_the_filter_is_retried_once_and_the_new_ones_are_not(
    scene: Scene,
) -> None:
    failed = scene.jobs(5, "failed")
    scene.jobs(2, "completed")
    queued = scene.jobs(1)
    id = scene.begin(Action.RETRY, status="failed")
    action = scene.run(id)
    assert (action.status, action.matched, action.done, action.failed) == ("completed", 5, 5, 0)
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
    action = scene.run(scene.begin(Action.RETRY))
    assert (action.matched, action.done, action.failed) == (7, 1, 6)
    told = {error.reason: (error.count, set(error.job_ids)) for error in action.errors}
    assert told == {
        "not_ended": (3, set(queued)),
        "completed": (2, set(completed)),
        "input_removed": (1, {removed}),
    }
    assert [error.count for error in action.errors] == [3, 2, 1]


def test_cancel_ends_what_is_queued_and_asks_what_runs(scene: Scene) -> None:
    queued, (running,) = scene.jobs(3), scene.jobs(1)
    scene.db.execute("UPDATE jobs SET status = 'in_progress' WHERE id = %s", (running,))
    action = scene.run(scene.begin(Action.CANCEL))
    assert (action.done, action.failed) == (4, 0)
    assert scene.statuses(queued) == {"cancelled"}
    asked = scene.db.execute(
        "SELECT status, cancel_requested_at IS NOT NULL FROM jobs WHERE id = %s", (running,)
    ).fetchone()
    assert asked == ("in_progress", True)


def test_content_is_removed_of_ended_jobs(scene: Scene) -> None:
    ended, queued = scene.jobs(2, "completed"), scene.jobs(1)
    action = scene.run(scene.begin(Action.REMOVE_CONTENT))
    assert (action.done, [error.reason for error in action.errors]) == (2, ["not_ended"])
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
        action = scene.run(id)
        assert action.done == 2
        assert [(one.reason, one.job_ids) for one in action.errors] == [
            ("no_later_tier", [jobs[2]])
        ]
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
    action = scene.run(scene.begin(Action.CANCEL, feature="echo", status="queued", tier="slm"))
    assert (action.matched, action.done) == (2, 2)
    assert scene.statuses(mine) == {"cancelled"}
    assert scene.statuses([theirs, *kept]) == {"queued"}
    with pytest.raises(NotFound):
        bulk_actions.action_of(scene.db, other, action.id)


def test_a_limit_ends_it_after_so_many_jobs(scene: Scene) -> None:
    scene.jobs(5)
    action = scene.run(scene.begin(Action.CANCEL, limit=2))
    assert (action.status, action.done, action.limit) == ("completed", 2, 2)


def test_a_count_stops_at_its_limits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 2)
    scene.jobs(7)
    asked = BulkRequest(Action.CANCEL, Filters())
    monkeypatch.setattr(bulk_actions, "MOST_COUNTED", 3)
    plan = bulk_actions.plan(scene.db, scene.account, asked)
    assert (plan.matched, plan.more) == (3, True)
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


def test_an_input_that_no_longer_fits_is_a_reason(scene: Scene) -> None:
    (job,) = scene.jobs(1, "failed")
    scene.db.execute("UPDATE job_requests SET input = '{}' WHERE job_id = %s", (job,))
    action = scene.run(scene.begin(Action.RETRY))
    assert [one.reason for one in action.errors] == ["invalid_input"]
    assert action.done == 0


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
    request = BulkRequest(Action.CANCEL, Filters())
    next_seq = rows.next_seq
    made = []

    def again(connection: Connection[Any]) -> int:
        monkeypatch.setattr(rows, "next_seq", next_seq)
        made.append(bulk_actions.begin(scene.db, scene.account, KEY, request, "key"))
        return next_seq(connection)

    monkeypatch.setattr(rows, "next_seq", again)
    found, new = bulk_actions.begin(scene.db, scene.account, KEY, request, "key")
    assert (made, new) == ([(found, True)], False)
