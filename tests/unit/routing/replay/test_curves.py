"""Quality against cost, and the area under it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.routing.replay.curves import Outcome, Point, area, cost_of_quality, curve, point

WRONG_THEN_RIGHT = Outcome(0.0, 1.0, 1.0, 9.0)
BOTH_RIGHT = Outcome(1.0, 1.0, 1.0, 9.0)
OUTCOMES = [WRONG_THEN_RIGHT, BOTH_RIGHT, WRONG_THEN_RIGHT, BOTH_RIGHT]
WEAK = point(OUTCOMES, [False] * 4, cascade=False)
STRONG = point(OUTCOMES, [True] * 4, cascade=False)


def test_what_is_paid() -> None:
    up = [True, False, False, False]
    assert point(OUTCOMES, up, cascade=False) == Point(12 / 4, 3 / 4, 1 / 4)
    assert point(OUTCOMES, up, cascade=True) == Point(13 / 4, 3 / 4, 1 / 4)


def test_a_perfect_score_is_a_corner() -> None:
    points = curve(OUTCOMES, [0.0, 1.0, 0.1, 0.9], cascade=False)
    assert [(one.cost, one.quality) for one in points] == [
        (1.0, 0.5),
        (3.0, 0.75),
        (5.0, 1.0),
        (7.0, 1.0),
        (9.0, 1.0),
    ]
    assert area(points, WEAK, STRONG) == pytest.approx((4 * 0.75 + 4 * 1.0) / 8)


def test_a_score_that_says_nothing_is_the_line_of_random() -> None:
    points = curve(OUTCOMES, [0.5] * 4, cascade=False)
    assert points == [WEAK, STRONG]
    assert area(points, WEAK, STRONG) == pytest.approx(0.75)


def test_of_a_cascade_only_what_is_cheaper_than_strong_alone_counts() -> None:
    points = curve(OUTCOMES, [0.0, 1.0, 0.1, 0.9], cascade=True)
    assert points[-1].cost == 10.0
    assert area(points, WEAK, STRONG) < area(
        curve(OUTCOMES, [0.0, 1.0, 0.1, 0.9], cascade=False), WEAK, STRONG
    )


def test_single_policies_have_an_area_too() -> None:
    assert area([WEAK], WEAK, STRONG) == 0.5
    assert area([STRONG], WEAK, STRONG) == pytest.approx(STRONG.quality)


def test_nothing_is_traded_where_strong_is_no_dearer() -> None:
    with pytest.raises(ValueError, match="no more"):
        area([WEAK], STRONG, WEAK)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1)), min_size=2, max_size=40))
def test_no_order_beats_the_oracle(rows: list[tuple[bool, bool, float]]) -> None:
    outcomes = [Outcome(float(weak), float(strong), 1.0, 5.0) for weak, strong, _ in rows]
    weak, strong = (point(outcomes, [up] * len(rows), cascade=False) for up in (False, True))
    gains = [one.weak_quality - one.strong_quality for one in outcomes]
    best = area(curve(outcomes, gains, cascade=False), weak, strong)
    other = area(curve(outcomes, [score for _, _, score in rows], cascade=False), weak, strong)
    assert other <= best + 1e-9


def test_the_cost_of_a_quality_lies_between_two_settings() -> None:
    line = [Point(1.0, 0.5, 0.0), Point(5.0, 0.9, 0.5), Point(9.0, 1.0, 1.0)]
    assert cost_of_quality(line, line[-1], 0.7) == pytest.approx(3.0)
    assert cost_of_quality(line, line[-1], 0.4) == 1.0
    assert cost_of_quality(line, line[-1], 1.0) == 9.0


def test_the_strong_tier_alone_can_always_be_bought() -> None:
    cascade = [Point(1.0, 0.5, 0.0), Point(10.0, 1.0, 1.0)]
    assert cost_of_quality(cascade, Point(9.0, 1.0, 1.0), 0.99) == 9.0
    assert cost_of_quality(cascade, Point(9.0, 0.9, 1.0), 1.1) == math.inf
