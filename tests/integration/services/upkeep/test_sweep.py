"""What the sweep removes once a feature's days are over, and what it leaves."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.support.database.retention import SECRET, RetentionScene, id_days_ago
from tests.support.database.rows import add_feature, add_job, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.features import Retention
from tierline.services.evidence.watch.drift import Drift
from tierline.services.upkeep import retention
from tierline.services.upkeep.retention import remove_due
from tierline.services.upkeep.sweep import sweep as clear_away
from tierline.storage.jobs import job_reads
from tierline.storage.upkeep import due_content
from tierline.storage.upkeep import retention as statements
from tierline.storage.upkeep.due_content import Page
from tierline.storage.upkeep.retention import What
from tierline.views.jobs.jobs import job_view

ALL = {"jobs", "job_requests", "attempts", "answers"}
QUOTING = {"jobs", "attempts"}  # where a reason or an error's text may quote what was asked


def sweep(kept: RetentionScene, within_s: float = 60.0) -> int:
    return remove_due(kept.pool, time.monotonic() + within_s)


def shown(kept: RetentionScene, job_id: UUID) -> dict[str, object]:
    with kept.pool.connection() as connection:
        row = job_reads.job_row(connection, job_id)
    assert row is not None
    document: dict[str, object] = json.loads(job_view(row, content=True).to_json())
    return document


def test_a_feature_that_sets_no_time_keeps_everything(kept: RetentionScene) -> None:
    job = kept.ended_job(days=4000)
    assert sweep(kept) == 0
    assert kept.holding(job) == ALL


def test_after_its_days_nothing_of_input_and_outputs_is_left_and_the_books_are(
    kept: RetentionScene,
) -> None:
    kept.keep_for(30, 30)
    old, young = kept.ended_job(days=31), kept.ended_job(days=29)
    kept.label(old)
    before = shown(kept, old)
    assert sweep(kept) == 1
    assert kept.holding(old) == set()
    assert kept.holding(young) == ALL
    after = shown(kept, old)
    told = ("output", "error", "escalation_reason", "input_removed_at", "output_removed_at")
    same = before.keys() - set(told)
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["cost_usd"] == "0.5"
    assert after["error"] == {"code": "checks_failed", "message": "ungrounded"}
    assert after["escalation_reason"] == "rule"
    assert after["input_removed_at"]
    assert after["output_removed_at"]
    routing = kept.one("SELECT routing FROM attempts WHERE job_id = %s AND number = 2", old)
    assert routing == {"policy": "slm_first", "reason": "escalated: rule"}
    assert kept.one("SELECT correct FROM feedback WHERE job_id = %s", old) is False
    assert sweep(kept) == 0


@pytest.mark.parametrize(("inputs", "outputs"), [(7, 30), (30, 7), (None, 7), (7, None)])
def test_each_of_the_two_goes_by_its_own_time(
    kept: RetentionScene, inputs: float | None, outputs: float | None
) -> None:
    kept.keep_for(inputs, outputs)
    older, job = kept.ended_job(days=31), kept.ended_job(days=8)
    assert sweep(kept) > 1
    first = {"answers"} if inputs == 7 else {"job_requests"}
    assert kept.holding(job) == first
    told = shown(kept, job)
    assert bool(told["input_removed_at"]) == (inputs == 7)
    assert bool(told["output_removed_at"]) == (outputs == 7)
    assert sweep(kept) == 0
    assert kept.holding(older) == (set() if inputs and outputs else first)


def test_what_was_said_to_a_drafts_models_goes_with_the_input(kept: RetentionScene) -> None:
    kept.keep_for(7, 30)
    draft = kept.draft(Retention(7, 30), "echo")
    job = kept.ended_job(days=8, version=draft)
    with kept.pool.connection() as connection:
        trace = json.dumps([{"messages": [{"role": "user", "content": SECRET}]}])
        connection.execute("UPDATE answers SET trace = %s WHERE job_id = %s", (trace, job))
    assert sweep(kept) == 1
    assert kept.one("SELECT count(*) FROM answers WHERE job_id = %s", job) > 0
    with kept.pool.connection() as connection:
        left = connection.execute(
            "SELECT trace FROM answers WHERE job_id = %s AND trace IS NOT NULL", (job,)
        ).fetchall()
    assert left == []


def test_the_newest_version_of_a_feature_decides_for_jobs_of_every_version(
    kept: RetentionScene,
) -> None:
    old_version = kept.version
    kept.keep_for(365, 365)
    jobs = [kept.ended_job(days=9, version=old_version), kept.ended_job(days=9)]
    assert sweep(kept) == 0
    kept.keep_for(7, 7)
    assert sweep(kept) == 2
    assert [kept.holding(job) for job in jobs] == [set(), set()]


def test_a_draft_of_an_applied_feature_goes_by_what_is_applied(kept: RetentionScene) -> None:
    draft = kept.draft(Retention(1, 1), "echo")
    job = kept.ended_job(days=9, version=draft)
    assert sweep(kept) == 0
    kept.keep_for(7, 7)
    assert sweep(kept) == 1
    assert kept.holding(job) == set()


def test_drafts_of_what_was_never_applied_go_by_the_one_that_was_tried_last(
    kept: RetentionScene,
) -> None:
    first = kept.draft(Retention(365, 365), "never-applied")
    job = kept.ended_job(days=9, version=first)
    assert sweep(kept) == 0
    kept.draft(Retention(7, 7, True), "never-applied")
    labelled = kept.ended_job(days=9, version=first)
    kept.label(labelled)
    assert sweep(kept) == 1
    assert kept.holding(job) == set()
    assert kept.holding(labelled) >= ALL


def test_a_job_that_has_not_ended_is_not_touched(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    jobs = [
        kept.ended_job(days=99, status=status, created_at="2020-01-01")
        for status in ("queued", "in_progress")
    ]
    assert sweep(kept) == 0
    assert [kept.holding(job) for job in jobs] == [ALL, ALL]


def test_what_is_labelled_stays_whole_where_the_feature_says_so(kept: RetentionScene) -> None:
    kept.keep_for(1, 1, labelled=True)
    labelled, other = kept.ended_job(days=2), kept.ended_job(days=2)
    kept.label(labelled)
    assert sweep(kept) == 1
    assert kept.holding(labelled) == ALL | {"feedback"}
    assert kept.holding(other) == set()


def test_what_is_labelled_is_looked_at_once(
    kept: RetentionScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep_for(1, 2, labelled=True)
    for _ in range(3):
        kept.label(kept.ended_job(days=3))
    assert sweep(kept) == 0
    looked: list[int] = []
    read = due_content.next_page

    def counted(*given: Any) -> Page:
        found = read(*given)
        looked.append(len(found.due))
        return found

    monkeypatch.setattr(due_content, "next_page", counted)
    assert sweep(kept) == 0
    assert set(looked) == {0}


def test_what_was_kept_for_its_label_goes_when_the_feature_no_longer_keeps_it(
    kept: RetentionScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    kept.keep_for(1, 1, labelled=True)
    jobs = [kept.ended_job(days=2) for _ in range(5)]
    for job in jobs:
        kept.label(job)
    assert sweep(kept) == 0
    kept.keep_for(3, 3)
    assert sweep(kept) == 0
    kept.keep_for(1, 1)
    assert sweep(kept) == 5
    assert all(kept.holding(job) == set() for job in jobs)


def test_content_of_a_labelled_job_that_was_passed_by_can_be_removed_at_once(
    kept: RetentionScene,
) -> None:
    kept.keep_for(1, 1, labelled=True)
    job = kept.ended_job(days=2)
    kept.label(job)
    sweep(kept)
    with kept.pool.connection() as connection:
        retention.remove_content(connection, kept.account, job)
    assert kept.holding(job) == {"feedback"}
    assert sweep(kept) == 0


def test_a_webhook_on_its_way_goes_out_as_it_was_written_and_is_then_forgotten(
    kept: RetentionScene,
) -> None:
    kept.keep_for(None, 1)
    waiting = kept.ended_job(days=2, delivery="pending")
    told = kept.ended_job(days=2, delivery="delivered")
    sweep(kept)
    assert "deliveries" in kept.holding(waiting)
    assert "deliveries" not in kept.holding(told)
    with kept.pool.connection() as connection:
        connection.execute("UPDATE deliveries SET status = 'failed' WHERE job_id = %s", (waiting,))
    sweep(kept)
    assert "deliveries" not in kept.holding(waiting)
    assert kept.one("SELECT count(*) FROM deliveries") == 2


def test_more_than_one_transaction_holds_is_removed_all_the_same(
    kept: RetentionScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    kept.keep_for(1, 1)
    jobs = [kept.ended_job(days=2) for _ in range(10)]
    assert sweep(kept) == 10
    assert all(kept.holding(job) == set() for job in jobs)


def test_a_round_ends_with_its_time_and_the_next_goes_on(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    kept.ended_job(days=2)
    assert sweep(kept, within_s=-1) == 0
    assert sweep(kept) == 1


def test_sweeps_at_once_remove_each_jobs_content_once(
    kept: RetentionScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 4)
    kept.keep_for(1, 1)
    jobs = [kept.ended_job(days=2, delivery="delivered") for _ in range(60)]
    with ThreadPoolExecutor(4) as several:
        removed = list(several.map(lambda _: sweep(kept), range(4)))
    # Rows that another held were left to it, and it may have been at its own end by then.
    removed.append(sweep(kept))
    assert sum(removed) == len(jobs)
    assert all(kept.holding(job) == set() for job in jobs)


def test_a_job_that_ended_long_after_its_creation_is_found_when_its_own_days_are_over(
    kept: RetentionScene,
) -> None:
    kept.keep_for(7, 7)
    waited = kept.ended_job(days=1, id=id_days_ago(9))
    runs = kept.ended_job(status="in_progress", id=id_days_ago(9))
    assert sweep(kept) == 0  # both are passed, and noted
    with kept.pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET status = 'completed',"
            " completed_at = clock_timestamp() - interval '8 days'"
        )
        connection.execute(
            "UPDATE retention_left SET ended_after = ended_after - interval '8 days'"
        )
    assert sweep(kept) == 2
    assert [kept.holding(job) for job in (waited, runs)] == [set(), set()]
    assert kept.one("SELECT count(*) FROM retention_left") == 0
    assert sweep(kept) == 0


def test_a_locked_job_is_looked_at_again(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    job = kept.ended_job(days=2)
    with kept.pool.connection() as other, other.transaction():
        other.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (job,))
        assert sweep(kept) == 0
    assert sweep(kept) == 1
    assert kept.holding(job) == set()


def test_a_shorter_retention_finds_what_the_walk_has_not_reached(kept: RetentionScene) -> None:
    kept.keep_for(30, 30)
    job = kept.ended_job(days=9)
    assert sweep(kept) == 0
    kept.keep_for(7, 7)
    assert sweep(kept) == 1
    assert kept.holding(job) == set()


def test_without_a_retention_nothing_is_noted(kept: RetentionScene) -> None:
    kept.ended_job(days=9)
    sweep(kept)
    assert kept.one("SELECT count(*) FROM retention_positions") == 0
    assert kept.one("SELECT count(*) FROM retention_left") == 0


def test_feedback_that_is_given_while_the_sweep_passes_keeps_its_job(kept: RetentionScene) -> None:
    kept.keep_for(1, 1, labelled=True)
    job = kept.ended_job(days=2)
    with kept.pool.connection() as giving, giving.transaction():
        given = job_reads.add_feedback(giving, kept.account, job, False, None, SECRET)
        assert given is not None
        # Held by who labels it: left out, and not waited for.
        assert sweep(kept) == 0
    assert sweep(kept) == 0
    assert kept.holding(job) == ALL | {"feedback"}


def test_feedback_that_comes_after_waits_and_is_refused(kept: RetentionScene) -> None:
    kept.keep_for(1, 1, labelled=True)
    job = kept.ended_job(days=2)
    given: list[object] = []

    def give() -> None:
        with kept.pool.connection() as connection:
            given.append(job_reads.add_feedback(connection, kept.account, job, True, None, None))

    late = threading.Thread(target=give)
    with kept.pool.connection() as removing, removing.transaction():
        both = What(inputs=True, outputs=True)
        (locked,) = statements.lock_ended(removing, [job], both)
        late.start()
        wait_until(
            lambda: kept.one("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
            DEADLINE_S,
            "the feedback to wait",
        )
        statements.remove(removing, [locked], both, keep_feedback=True)
    late.join(DEADLINE_S)
    assert given == [None]
    assert kept.holding(job) == set()


def test_what_was_said_of_rows_that_never_became_jobs_goes_with_the_inputs(
    kept: RetentionScene,
) -> None:
    kept.keep_for(1, None)
    batch = new_id()
    problems = json.dumps([{"path": "/input/text", "message": f'"{SECRET}" is not a number'}])
    with kept.pool.connection() as connection:
        connection.execute(
            "INSERT INTO batches (id, account_id, feature_version_id, status, completed_at)"
            " VALUES (%s, %s, %s, 'completed', clock_timestamp() - interval '2 days')",
            (batch, kept.account, kept.version),
        )
        for row in range(5):
            connection.execute(
                "INSERT INTO batch_errors VALUES (%s, %s, 7, 'c', %s)", (batch, row + 1, problems)
            )
        add_job(connection, kept.account, kept.version, backfill=True)
    sweep(kept)
    found = kept.one("SELECT json_agg(problems), count(line) FROM batch_errors")
    assert found == ([[{"path": "", "message": "removed"}]] * 5, 5)
    assert kept.one("SELECT input_removed_at IS NOT NULL FROM batches")


def test_the_sweep_of_the_maintenance_queue_removes_content(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    job = kept.ended_job(days=2)
    clear_away(kept.pool, Drift(kept.pool))
    assert kept.holding(job) == set()


def test_a_sweep_does_nothing_while_another_runs_in_the_process(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    job = kept.ended_job(days=2)
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'jobs'::regclass AND NOT granted"
    with ThreadPoolExecutor(1) as beside:
        with kept.pool.connection() as holding, holding.transaction():
            holding.execute("LOCK TABLE jobs")
            first = beside.submit(clear_away, kept.pool, Drift(kept.pool))
            wait_until(
                lambda: kept.one(waiting), DEADLINE_S, "the first sweep to wait for the table"
            )
            assert not clear_away(kept.pool, Drift(kept.pool))
            assert not first.done()
        assert first.result(DEADLINE_S)
    assert kept.holding(job) == set()
    assert clear_away(kept.pool, Drift(kept.pool))


def test_a_retention_of_a_later_release_stops_no_others(kept: RetentionScene) -> None:
    kept.keep_for(1, 1)
    with kept.pool.connection() as connection:
        other = add_feature(connection, two_tiers("a-later"))
        connection.execute(
            "UPDATE feature_versions SET document = document || "
            '\'{"retention": {"inputs_hours": 1}}\' WHERE id = %s',
            (other,),
        )
    late, job = kept.ended_job(days=2.0, version=other), kept.ended_job(days=2.0)
    assert sweep(kept) == 1
    assert kept.holding(job) == set()
    assert kept.holding(late) == ALL


def test_the_sweep_forgets_operations_that_ended_longer_ago_than_they_are_kept(
    kept: RetentionScene,
) -> None:
    days = settings().operation_kept_days
    with kept.pool.connection() as connection:
        for feature, ago in (("old", days + 1), ("young", days - 1)):
            connection.execute(
                "INSERT INTO operations (feature, kind, account_id, options, status, completed_at)"
                " VALUES (%s, 'router', 1, '{}', 'completed',"
                " clock_timestamp() - make_interval(days => %s))",
                (feature, ago),
            )
    clear_away(kept.pool, Drift(kept.pool))
    with kept.pool.connection() as connection:
        left = connection.execute("SELECT feature FROM operations").fetchall()
    assert left == [("young",)]
