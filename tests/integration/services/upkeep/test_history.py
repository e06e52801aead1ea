"""Weeks of history that are too old are removed, unless something in them is needed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.support.database.past import WEEKS, Past, past_weeks
from tests.support.database.rows import add_dataset
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.rules.partitions import Partition
from tierline.services.upkeep.history import History, states
from tierline.storage.db.partitioned import PARENTS
from tierline.storage.jobs import job_reads
from tierline.storage.upkeep import history, partitions

TABLES = {parent.table for parent in PARENTS}


@pytest.fixture
def past(past_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Past]:
    """`history_days` is 14: the weeks before the last two may go."""
    monkeypatch.setenv("TIERLINE_HISTORY_DAYS", "14")
    settings.cache_clear()
    with past_weeks(past_database_url) as made:
        yield made
    settings.cache_clear()


def remove_old(past: Past) -> int:
    return History().remove_old(past.pool, time.monotonic() + 60)


def count(past: Past, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    (found,) = past.connection.execute(query).fetchone() or (0,)
    return int(found)


def week_with(past: Past, job: UUID) -> Partition:
    return next(one for one in partitions.every(past.connection)["calls"] if job < one.end)


def test_nothing_is_removed_unless_it_is_asked_for(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIERLINE_HISTORY_DAYS")
    settings.cache_clear()
    past.job(WEEKS)
    before = past.weeks()
    assert remove_old(past) == 0
    assert past.weeks() == before


def test_old_weeks_go_with_their_jobs_and_young_ones_stay(past: Past) -> None:
    old, young = past.job(5), past.job(1)
    before = past.weeks()
    dropped = remove_old(past)
    assert dropped == sum(before.values()) - sum(past.weeks().values())
    assert set(past.weeks().values()) <= {2, 3}, "two weeks, and the one that is not wholly older"
    assert set(past.weeks()) == TABLES
    assert job_reads.job_row(past.connection, old) is None
    assert job_reads.job_row(past.connection, young) is not None
    assert {table: count(past, table) for table in TABLES} == dict.fromkeys(TABLES, 1)
    assert remove_old(past) == 0


def live_job(past: Past, job: UUID) -> None:
    past.connection.execute(
        "UPDATE jobs SET part = 1, status = 'in_progress', completed_at = NULL WHERE id = %s",
        (job,),
    )


def hinted_job(past: Past, job: UUID) -> None:
    past.connection.execute(
        "UPDATE jobs SET part = 1, status = 'queued', hint_no = 1, completed_at = NULL"
        " WHERE id = %s",
        (job,),
    )


def live_shadow(past: Past, job: UUID) -> None:
    shadow = past.job(0, status="queued", completed_at=None, part=1, shadow_of=job)
    assert shadow > job


def open_reservation(past: Past, job: UUID) -> None:
    past.connection.execute(
        "INSERT INTO reservations (job_id, attempt, number, periods, amount_usd)"
        " VALUES (%s, 1, 1, '{}', 1)",
        (job,),
    )


def pending_webhook(past: Past, job: UUID) -> None:
    past.connection.execute("UPDATE deliveries SET status = 'pending' WHERE job_id = %s", (job,))


def webhook_of_a_later_week(past: Past, job: UUID) -> None:
    past.delivery(job, 0, "pending")


def unfinished_batch(past: Past, job: UUID) -> None:
    batch = UUID(int=job.int - 1)
    past.connection.execute(
        "INSERT INTO batches (id, account_id, feature_version_id, status)"
        " VALUES (%s, %s, %s, 'sealed')",
        (batch, past.account, past.version),
    )
    past.connection.execute(
        "UPDATE jobs SET batch_id = %s, batch_row = 1 WHERE id = %s", (batch, job)
    )


def label(past: Past, job: UUID) -> None:
    past.connection.execute(
        "INSERT INTO feedback (job_id, account_id, correct) VALUES (%s, %s, true)",
        (job, past.account),
    )


def dataset(past: Past, job: UUID) -> None:
    add_dataset(past.connection, "echo")
    past.connection.execute(
        "INSERT INTO dataset_rows (dataset_id, number, input, expected, digest, alike, side,"
        " source, representative, job_id)"
        " VALUES (1, 0, '{}', '{}', 'd', 0, 'train', 'human', true, %s)",
        (job,),
    )


def calibration(past: Past, job: UUID) -> None:
    (seq,) = past.connection.execute(
        "SELECT seq FROM outcomes WHERE job_id = %s", (job,)
    ).fetchone() or (0,)
    past.connection.execute(
        "INSERT INTO calibrations (feature, tier, recipe, fingerprint, models, attempt, reference,"
        " reference_models, max_error, confidence, threshold, samples, first_seq, last_seq,"
        " document) VALUES ('echo', 'slm', 'r', 'f', 'm', 1, 'model', '{}', 0.03, 0.95, 0.5, 100,"
        " %s, %s, '{}')",
        (seq, seq),
    )


def running_evaluation(past: Past, job: UUID) -> None:
    evaluation(past, job, "running")


def promoted_evaluation(past: Past, job: UUID) -> None:
    evaluation(past, job, "completed")
    past.connection.execute(
        "INSERT INTO promotions (feature, tier, evaluation_id, rung, share, version,"
        " most_differing) VALUES ('echo', 'slm', 1, 'ship', 1, 1, 0.1)"
    )


def evaluation(past: Past, job: UUID, status: str) -> None:
    past.connection.execute(
        "INSERT INTO evaluations (feature, dataset_id, account_id, status, plan)"
        " VALUES ('echo', 1, %s, %s, '{}')",
        (past.account, status),
    )
    past.connection.execute(
        "INSERT INTO evaluation_answers (evaluation_id, tier, number, job_id)"
        " VALUES (1, 'slm', 0, %s)",
        (job,),
    )


def pending_sum(past: Past, job: UUID) -> None:
    """As long as the job's last attempt is not counted, nothing of it is."""
    past.connection.execute("UPDATE sums_state SET rolled_to = 1, visible_to = 1")
    past.connection.execute("UPDATE attempts SET seq = 1 WHERE job_id = %s", (job,))
    past.connection.execute("UPDATE attempts SET seq = NULL WHERE job_id <> %s", (job,))


NEEDS = [
    (live_job, "live_jobs"),
    (hinted_job, "live_jobs"),
    (live_shadow, "live_jobs"),
    (open_reservation, "open_reservations"),
    (pending_webhook, "undelivered_webhooks"),
    (webhook_of_a_later_week, "undelivered_webhooks"),
    (unfinished_batch, "unfinished_batches"),
    (label, "labels"),
    (dataset, "datasets"),
    (calibration, "calibrations"),
    (running_evaluation, "evaluations"),
    (promoted_evaluation, "evaluations"),
    (pending_sum, "not_rolled_up"),
]


@pytest.mark.parametrize(("need", "reason"), NEEDS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_week_is_kept_whole_while_something_in_it_is_needed(
    past: Past, need: Callable[[Past, UUID], None], reason: str
) -> None:
    kept, other, gone = past.job(5), past.job(5), past.job(4)
    need(past, kept)
    week = week_with(past, kept)
    assert history.kept_by(past.connection, week) == [reason]
    remove_old(past)
    for job in (kept, other):
        assert job_reads.job_row(past.connection, job) is not None
    assert job_reads.job_row(past.connection, gone) is None, "weeks are kept one by one"
    for table in TABLES:
        assert week.end in {one.end for one in partitions.every(past.connection)[table]}
    state = next(one for one in states(past.connection) if one.name == week.name)
    assert state.kept_by == [reason]


def test_every_reason_has_a_test() -> None:
    assert {reason for _, reason in NEEDS} == set(history.REASONS)


def test_a_label_keeps_nothing_once_its_jobs_content_is_removed(past: Past) -> None:
    job = past.job(5)
    label(past, job)
    past.connection.execute("UPDATE job_requests SET input = NULL WHERE job_id = %s", (job,))
    remove_old(past)
    assert job_reads.job_row(past.connection, job) is None
    assert count(past, "feedback") == 0


def test_a_label_that_came_after_the_check_keeps_its_job(past: Past) -> None:
    """The same for a job that is in `jobs_ended`, and for one of before 0.3.0."""
    job, old = past.job(5), past.job(5, part=1)
    week = week_with(past, job)
    of_jobs = next(
        one for one in partitions.every(past.connection)["jobs_ended"] if one.end == week.end
    )
    assert history.kept_by(past.connection, week) == []
    with history.alone(past.connection):
        history.detach(past.connection, "jobs_ended", of_jobs)
        label(past, job)
        assert list(history.drop_detached(past.connection)) == []
    assert job_reads.job_row(past.connection, job) is not None, "it is attached again"
    past.connection.execute("UPDATE feedback SET job_id = %s", (old,))
    assert history.remove_jobs(past.connection, week, 100) == 0
    past.connection.execute("DELETE FROM feedback")
    assert remove_old(past) > 0
    assert job_reads.job_row(past.connection, job) is None
    assert job_reads.job_row(past.connection, old) is None


def test_what_names_the_removed_jobs_goes_with_them(past: Past) -> None:
    job = past.job(5)
    evaluation(past, job, "completed")
    assert remove_old(past) > 0
    assert count(past, "evaluation_answers") == 0
    assert count(past, "evaluations") == 1


def test_an_ended_batch_goes_with_its_last_job(past: Past) -> None:
    job = past.job(5)
    unfinished_batch(past, job)
    past.connection.execute("UPDATE batches SET status = 'completed', completed_at = now()")
    past.connection.execute("INSERT INTO batch_parts SELECT id, 1, '', 1, 1 FROM batches")
    past.connection.execute(
        "INSERT INTO batch_errors (batch_id, batch_row, problems) SELECT id, 2, '[]' FROM batches"
    )
    remove_old(past)
    assert [count(past, table) for table in ("batches", "batch_parts", "batch_errors")] == [0, 0, 0]


def test_a_detach_that_was_interrupted_is_finished(past: Past, past_database_url: str) -> None:
    past.job(5)
    week = partitions.every(past.connection)["calls"][0]
    with psycopg.connect(past_database_url) as reader:
        reader.execute("SELECT count(*) FROM calls")
        # The reader's transaction outlasts the lock timeout, as a kill at this point would.
        assert remove_old(past) < len(TABLES)
    interrupted = [
        one.name
        for there in partitions.every(past.connection).values()
        for one in there
        if one.detaching
    ]
    assert interrupted == [week.name]
    remove_old(past)
    assert set(past.weeks().values()) <= {2, 3}
    assert not past.connection.execute(
        "SELECT FROM pg_class WHERE relname = %s", (week.name,)
    ).fetchone()


def test_a_detached_partition_that_was_not_dropped_is_dropped(past: Past) -> None:
    first = partitions.every(past.connection)["calls"][0]
    with history.alone(past.connection):
        history.detach(past.connection, "calls", first)
    assert remove_old(past) >= 1
    assert not past.connection.execute(
        "SELECT FROM pg_class WHERE relname = %s", (first.name,)
    ).fetchone()


def test_a_partition_that_an_operator_detached_is_left_alone(past: Past) -> None:
    first = partitions.every(past.connection)["calls"][0]
    past.connection.execute(f"ALTER TABLE calls DETACH PARTITION {first.name}")
    remove_old(past)
    assert (
        past.connection.execute("SELECT FROM pg_class WHERE relname = %s", (first.name,)).fetchone()
        is not None
    )


def test_two_sweeps_at_once_drop_each_partition_once(past: Past) -> None:
    past.job(5)
    before = sum(past.weeks().values())
    with ThreadPoolExecutor(2) as sweeps:
        dropped = sum(sweeps.map(lambda _: remove_old(past), range(2)))
    dropped += remove_old(past)
    assert dropped == before - sum(past.weeks().values())


def test_rows_are_written_while_old_weeks_are_dropped(past: Past, past_database_url: str) -> None:
    """Detaching and dropping blocks no insert, and no insert makes it fail for good."""
    past.job(5)
    with ThreadPoolExecutor(1) as aside, psycopg.connect(past_database_url) as writer:
        writer.execute("SET lock_timeout = '500ms'")
        dropping = aside.submit(
            lambda: wait_until(
                lambda: bool(remove_old(past)) and max(past.weeks().values()) <= 3,
                DEADLINE_S,
                "the old weeks to go",
            )
        )
        written = 0
        while not dropping.done():
            writer.execute(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)"
                " VALUES (%s, 1, 1, 1, 'answer', 'openai:small')",
                (new_id(),),
            )
            writer.commit()
            written += 1
        dropping.result()
    assert count(past, "calls") == written


def test_the_figures_of_removed_weeks_stay(past: Past) -> None:
    past.job(5)
    (before,) = past.connection.execute("SELECT sum(cost_usd) FROM usage_sums").fetchone() or (0,)
    assert remove_old(past) > 0
    after: Any = past.connection.execute("SELECT sum(cost_usd) FROM usage_sums").fetchone()
    assert after == (before,)
    assert before > 0


def test_a_call_that_a_crash_cut_is_counted_as_of_unknown_cost_and_keeps_nothing(
    past: Past,
) -> None:
    job = past.job(5, settled=False)
    assert history.kept_by(past.connection, week_with(past, job)) == ["not_rolled_up"]
    assert remove_old(past) > 0
    assert job_reads.job_row(past.connection, job) is None
    assert past.connection.execute(
        "SELECT calls, unknown_cost_calls FROM usage_sums WHERE daily"
    ).fetchall() == [(1, 1)]
    assert count(past, "sums_pending") == 0
