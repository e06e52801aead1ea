"""A job's road over both latency tiers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.console.views.road import picture_of, place_of, steps_of, threshold_of
from tierline.base.ids import new_id
from tierline.views.jobs.attempts import Attempt
from tierline.views.jobs.decisions import Decision
from tierline.views.jobs.jobs import Job

BEGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def attempt(number: int, tier: str, queue: str, begin: float, end: float | None) -> Attempt:
    return Attempt.model_construct(
        number=number,
        tier=tier,
        queue=queue,
        model="m",
        reason=f"reason {number}",
        started_at=at(begin),
        ended_at=None if end is None else at(end),
        cost_usd=Decimal(0),
        calls=[],
    )


def decision(number: int, **more: Any) -> Decision:
    given = {"policy": "slm_first", "reason": "it begins there", "outcome": "escalated"}
    thresholds = {"threshold": None, "confidence_threshold": None}
    return Decision.model_construct(attempt=number, **{**given, **thresholds, **more})


TWO = [attempt(1, "slm", "slm", 1, 3), attempt(2, "frontier", "deeper-analysis", 5, 10)]


def job(completed: float | None) -> Job:
    end = None if completed is None else at(completed)
    return Job.model_construct(id=new_id(), created_at=BEGIN, completed_at=end)


def test_an_attempt_has_its_decision_and_the_next_tier_what_it_was_told() -> None:
    first, second = steps_of(TWO, [decision(1), decision(2, reason="after slm")])
    assert (first.why, first.policy, first.prior_reason) == ("it begins there", "slm_first", None)
    assert (second.why, second.prior_reason) == ("after slm", "reason 1")
    assert (first.deeper, second.deeper) == (False, True)


def test_a_second_try_on_the_same_tier_is_told_nothing() -> None:
    again = [attempt(1, "slm", "slm", 1, 3), attempt(2, "slm", "slm", 5, 10)]
    assert steps_of(again, [])[1].prior_reason is None


@pytest.mark.parametrize(
    ("queue", "model", "place"),
    [
        ("slm", "openai:small", 0),
        ("slm-backfill", None, 0),
        ("deeper-analysis", "openai:large", 1),
        ("deeper-analysis-backfill", None, 1),
        ("quarantine", None, None),
        ("slm", "micro:all-MiniLM-L6-v2", -1),
    ],
)
def test_the_latency_tier_of_an_attempt(queue: str, model: str | None, place: int | None) -> None:
    assert place_of(queue, model) == place


def test_a_calibrations_threshold_goes_before_the_policys() -> None:
    assert threshold_of(decision(1, threshold=0.5, confidence_threshold=0.9)) == 0.9
    assert threshold_of(decision(1, threshold=0.5)) == 0.5
    assert threshold_of(None) is None


def test_the_picture_has_a_row_an_attempt_and_bars_within_it() -> None:
    picture = picture_of(job(10), steps_of(TWO, []), at(60))
    assert picture.whole_s == 10
    assert [bar.tone for bar in picture.bars] == ["waited", "fast", "waited", "deeper"]
    assert all(bar.x >= 150 and bar.x + bar.width <= 720 for bar in picture.bars)


def test_a_job_that_waits_has_a_bar_that_grows() -> None:
    picture = picture_of(job(None), [], at(60))
    assert [(bar.tone, bar.label) for bar in picture.bars] == [("waited", "waiting")]
    assert picture.whole_s == 60
