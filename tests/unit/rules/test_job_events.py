"""Which events a job has, from its row and its attempts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tierline.rules.job_events import AttemptFacts, JobEvent, JobFacts, events_of, position

T0 = datetime(2026, 11, 30, tzinfo=UTC)


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


def attempt(
    number: int, tier: str = "slm", verdict: str | None = None, **more: Any
) -> AttemptFacts:
    ended = None if verdict is None else at(10 * number + 5)
    return AttemptFacts(number, tier, at(10 * number), ended, verdict, more.get("reason"))


def job(status: str, tier: str, *attempts: AttemptFacts, micro: str | None = None) -> JobFacts:
    ended = at(99) if status not in ("queued", "in_progress") else None
    return JobFacts(status, tier, T0, ended, attempts, micro)


def told(facts: JobFacts, after: int = -1) -> list[tuple[int, str, str]]:
    return [
        (one.number, one.type.removeprefix("job."), one.tier) for one in events_of(facts, after)
    ]


def test_a_waiting_job_is_queued() -> None:
    assert told(job("queued", "slm")) == [(0, "queued", "slm")]


def test_a_running_job_has_started() -> None:
    facts = job("in_progress", "slm", attempt(1))
    assert told(facts) == [(0, "queued", "slm"), (1, "started", "slm")]


def test_a_job_that_escalates_says_why_and_where_to() -> None:
    facts = job("queued", "frontier", attempt(1, verdict="schema", reason="total is missing"))
    *_, last = events_of(facts)
    assert last == JobEvent(
        2, "job.escalated", at(15), "queued", "frontier", 1, "schema: total is missing"
    )


def test_a_job_that_is_tried_again_on_its_tier_is_queued_again() -> None:
    facts = job("in_progress", "slm", attempt(1, verdict="timeout"), attempt(2))
    assert told(facts)[1:] == [(1, "started", "slm"), (2, "queued", "slm"), (3, "started", "slm")]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_the_end_comes_last_whatever_it_is(status: str) -> None:
    facts = job(
        status, "frontier", attempt(1, verdict="schema"), attempt(2, "frontier", verdict="passed")
    )
    assert told(facts) == [
        *((0, "queued", "slm"), (1, "started", "slm"), (2, "escalated", "frontier")),
        *((3, "started", "frontier"), (6, status, "frontier")),
    ]
    *_, last = events_of(facts)
    assert last.last
    assert last.at == at(99)


def test_a_job_cancelled_while_it_waits_for_the_next_tier_had_escalated() -> None:
    facts = job("cancelled", "frontier", attempt(1, verdict="schema"))
    assert told(facts)[1:] == [
        (1, "started", "slm"),
        (2, "escalated", "frontier"),
        (4, "cancelled", "frontier"),
    ]


def test_leaving_a_micro_tier_is_no_event() -> None:
    facts = job(
        "in_progress",
        "slm",
        attempt(1, "micro", verdict="low_confidence"),
        attempt(2),
        micro="micro",
    )
    assert told(facts)[1:] == [(1, "started", "micro"), (3, "started", "slm")]


def test_a_resumed_stream_has_only_what_is_new() -> None:
    facts = job("completed", "slm", attempt(1, verdict="passed"))
    assert told(facts, after=1) == [(4, "completed", "slm")]
    assert told(facts, after=4) == []


def test_the_end_is_new_to_a_reader_who_saw_a_start_that_was_given_back() -> None:
    saw = max(number for number, _, _ in told(job("in_progress", "slm", attempt(1))))
    assert told(job("cancelled", "slm"), after=saw) == [(2, "cancelled", "slm")]


@pytest.mark.parametrize(
    "found",
    [
        job("queued", "slm"),
        job("in_progress", "slm", attempt(1)),
        job("queued", "frontier", attempt(1, verdict="schema")),
        job("queued", "slm", attempt(1, verdict="timeout")),
        job("in_progress", "slm", attempt(1, verdict="timeout"), attempt(2)),
        job("cancelled", "slm"),
        job("completed", "slm", attempt(1, verdict="passed")),
    ],
)
def test_the_position_of_a_row_is_the_number_of_its_last_event(found: JobFacts) -> None:
    *_, last = events_of(found)
    assert position(found.status, len(found.attempts)) == last.number
