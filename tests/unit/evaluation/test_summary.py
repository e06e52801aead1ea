"""What an evaluation found: by tier, field and slice, and what is named."""

from decimal import Decimal
from operator import eq
from typing import Any

import pytest

from tierline.evaluation.summary import Answer, EvaluatedExample, low_of, summary


def said(score: float, **more: Any) -> Answer:
    given: dict[str, Any] = {
        "output": "a" if score else "b",
        "model": "m-1",
        "unanswered": False,
        "cost_usd": Decimal("0.01"),
        "unknown_cost_calls": 0,
        "latency_s": 0.5,
        **more,
    }
    return Answer(score, **given)


EXAMPLES = [EvaluatedExample(number, {"label": "x" if number % 2 else "y"}) for number in range(40)]


def test_each_tier_is_told_with_its_interval_cost_and_models() -> None:
    small = [said(1.0)] * 30 + [said(0.0, model="m-2", latency_s=2.0)] * 9
    small.append(said(0.0, unanswered=True, model=None, latency_s=None, unknown_cost_calls=1))
    report = summary(EXAMPLES, {"slm": small, "frontier": [said(1.0)] * 40}, eq)
    one, other = report["tiers"]
    assert (one["right"], one["quality"], one["unanswered"]) == (30, 0.75, 1)
    assert one["interval"][0] < 0.75 < one["interval"][1]
    assert (one["cost_usd"], one["unknown_cost_calls"]) == ("0.4", 1)
    assert one["models"] == ["m-1", "m-2"]
    assert (one["latency_p50_s"], one["latency_p95_s"]) == (0.5, 2.0)
    assert other["quality"] == 1.0
    (compared,) = report["compared"]
    assert (compared["only_this"], compared["only_the_other"]) == (0, 10)
    assert compared["differ"] == 10
    assert compared["differ_at_most"] > 0.25
    assert compared["rows"] == list(range(30, 40))
    assert low_of(compared) == compared["interval"][0]


def test_the_slice_with_most_to_lose_comes_first_and_fields_are_told_apart() -> None:
    small = [
        said(float(one.number % 2 == 0), fields={"a": one.number % 2 == 0, "b": True})
        for one in EXAMPLES
    ]
    large = [said(1.0, fields={"a": True, "b": True})] * 40
    report = summary(EXAMPLES, {"slm": small, "frontier": large}, eq)
    first, second = report["slices"]
    assert (first["value"], first["quality"]) == ("x", {"slm": 0.0, "frontier": 1.0})
    assert (second["value"], second["examples"]) == ("y", 20)
    assert [(one["field"], one["quality"]["slm"]) for one in report["fields"]] == [
        ("a", 0.5),
        ("b", 1.0),
    ]


def test_a_last_tier_that_is_never_right_bounds_nothing() -> None:
    report = summary(EXAMPLES, {"slm": [said(1.0)] * 40, "frontier": [said(0.0)] * 40}, eq)
    (compared,) = report["compared"]
    assert (compared["ratio"], compared["interval"], low_of(compared)) == (None, None, 0.0)


def test_too_few_examples_show_nothing() -> None:
    with pytest.raises(ValueError, match="at least 10 examples are needed"):
        summary(EXAMPLES[:9], {"slm": [said(1.0)] * 9, "frontier": [said(1.0)] * 9}, eq)
