"""Recorded outcomes through the routing."""

import math
import random

import pytest

from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.promised import Served
from tierline.routing.replay.replay import Recorded, Replay, cheapest, replay
from tierline.routing.thresholds.combination import CannotLearn


def recorded(count: int, *, signal: bool, seed: int = 1) -> list[Recorded]:
    """Weak answers, 85% right; with a signal that tells, or with one that says nothing."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        right = draw.random() < 0.85
        margin = draw.gauss(1.5 if right and signal else 0.0, 0.6)
        strong = 1.0 if draw.random() < 0.98 else 0.0
        rows.append(
            Recorded(
                str(number),
                f"question {draw.randint(0, 30)} of kind {draw.randint(0, 9)}",
                Outcome(float(right), strong, 0.0001, 0.002),
                not right,
                {"margin": margin},
            )
        )
    return rows


def policies(result: Replay) -> dict[str, float]:
    return {policy.name: policy.area for policy in result.policies}


def test_a_signal_that_tells_is_worth_more_than_chance_and_less_than_knowing() -> None:
    result = replay(recorded(1_500, signal=True), max_error=0.03, confidence=0.95)
    areas = policies(result)
    assert areas["oracle"] > areas["confidence"] > areas["random"] + 0.02
    assert abs(areas["prompt length"] - areas["random"]) < 0.02
    promised = next(one.promised for one in result.policies if one.name == "confidence")
    assert promised is not None
    assert promised.served > 400
    bounds = promised.error_interval(0.95)
    assert bounds is not None
    assert bounds[0] <= 0.03


def test_each_router_stands_beside_length_and_a_coin_at_every_rate() -> None:
    result = replay(recorded(600, signal=True), max_error=0.05, confidence=0.9)
    paired = {policy.name: policy.paired for policy in result.policies}
    assert paired["weak only"] is None
    assert {"confidence", "complexity", "gain", "kNN"} <= {n for n, one in paired.items() if one}
    confidence, length = paired["confidence"], paired["prompt length"]
    assert confidence is not None
    assert length is not None
    assert [one.rate for one in confidence.rates] == pytest.approx([n / 10 for n in range(1, 10)])
    assert confidence.over_length.low > 0.1
    assert all(one.random.low > 0 for one in confidence.rates[:5])
    assert all(one.length.mean == 0.0 for one in length.rates)


def test_a_signal_that_says_nothing_promises_nothing() -> None:
    result = replay(recorded(1_500, signal=False), max_error=0.03, confidence=0.95)
    promised = next(one.promised for one in result.policies if one.name == "confidence")
    assert promised is not None
    assert promised.served == 0
    assert result.main is None
    assert (result.escalated, result.escalated_by) == (0.5, "default")


def test_the_main_policy_keeps_the_promise_at_the_least_cost() -> None:
    dear, cheap = (Served(100, 1, (0.5,), None, cost) for cost in (0.003, 0.001))
    nothing = Served(0, 0, (None,), None, 0.0)
    assert cheapest({"confidence": dear, "complexity": cheap, "other": nothing}) == "complexity"
    assert cheapest({"other": nothing}) is None


def test_a_cascade_pays_for_both_where_it_escalates() -> None:
    result = replay(recorded(600, signal=True), max_error=0.05, confidence=0.9)
    promised = next(one.promised for one in result.policies if one.name == "confidence")
    assert promised is not None
    assert result.main == "confidence"
    escalated = 1.0 - promised.served / 600
    assert promised.cost == pytest.approx(0.0001 + escalated * 0.002)


def test_a_share_of_ones_own_is_compared() -> None:
    result = replay(recorded(600, signal=True), max_error=0.05, confidence=0.9, share=0.25)
    assert (result.escalated, result.escalated_by) == (0.25, "caller")
    assert {one.at.escalated for one in result.policies[2:]} == {0.25}


def test_the_cost_of_a_share_of_the_strong_tiers_quality() -> None:
    rows = recorded(600, signal=True)
    result = replay(rows, max_error=0.05, confidence=0.9, kept=(0.95, 0.99, 1.0))
    costs = {one.name: one.cost_for for one in result.policies}
    for some in costs.values():
        assert list(some) == sorted(some)
    assert costs["strong only"] == (pytest.approx(0.002),) * 3
    assert costs["weak only"] == (math.inf,) * 3
    assert costs["oracle"][1] < costs["confidence"][1] < costs["random"][1]


def test_it_reports_its_progress_to_the_end() -> None:
    steps: list[tuple[int, int]] = []
    replay(
        recorded(300, signal=True),
        max_error=0.05,
        confidence=0.9,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert steps == [(done, 35) for done in range(36)]


def test_every_policy_is_shown_at_the_same_share() -> None:
    result = replay(recorded(600, signal=True), max_error=0.05, confidence=0.9)
    for policy in result.policies:
        if policy.name not in ("weak only", "strong only"):
            assert policy.at.escalated == pytest.approx(result.escalated, abs=1e-3)


def test_the_same_seed_gives_the_same_table() -> None:
    rows = recorded(400, signal=True)
    first, again = (replay(rows, max_error=0.05, confidence=0.9, seed=4) for _ in range(2))
    assert first == again


def test_outcomes_of_one_kind_are_refused() -> None:
    rows = [one for one in recorded(400, signal=True) if not one.wrong]
    with pytest.raises(CannotLearn, match="every weak answer is right"):
        replay(rows, max_error=0.05, confidence=0.9)
