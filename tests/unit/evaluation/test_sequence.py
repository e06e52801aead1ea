"""The interval of a ratio that holds however often one looks and adds examples."""

import math

import numpy as np
import pytest

from tests.support.samples.score_pairs import pairs
from tierline.evaluation.compare import fieller
from tierline.evaluation.sequence import MOST_RATIO, ratio_bounds

LOOKS = (30, 60, 120, 250, 500, 1_000)


@pytest.mark.parametrize("runs", [40, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_it_covers_at_every_look_of_an_evaluation_that_is_extended(runs: int) -> None:
    draw = np.random.default_rng(1)
    always = once = 0
    for _ in range(runs):
        small, large = (np.array(one) for one in pairs(draw, LOOKS[-1], 0.93))
        looks = [ratio_bounds(small[:n], large[:n], 0.95) for n in LOOKS]
        always += all(one is not None and one[0] <= 0.93 <= one[1] for one in looks)
        plain = [fieller(small[:n], large[:n]) for n in LOOKS]
        once += all(one is not None and one.low <= 0.93 <= one.high for one in plain)
    assert always / runs >= 0.95
    assert once / runs < 0.9  # what an interval for one look comes to


def test_the_order_of_the_examples_does_not_matter() -> None:
    draw = np.random.default_rng(2)
    small, large = (np.array(one) for one in pairs(draw, 300, 0.9))
    order = draw.permutation(300)
    assert ratio_bounds(small, large, 0.95) == pytest.approx(
        ratio_bounds(small[order], large[order], 0.95)
    )


def test_scores_between_right_and_wrong_are_bounded_too() -> None:
    draw = np.random.default_rng(3)
    large = draw.beta(8, 2, 800)
    small = np.clip(0.93 * large + draw.normal(0, 0.05, 800), 0, 1)
    bounds = ratio_bounds(small, large, 0.95)
    assert bounds is not None
    assert 0.88 < bounds[0] < 0.93 < bounds[1] < 0.98


def test_nothing_right_and_hardly_anything_right_are_no_errors() -> None:
    none, one = np.zeros(50), np.array([1.0, *[0.0] * 49])
    assert ratio_bounds(one, none, 0.95) is None
    assert ratio_bounds(none, one, 0.95) == (0.0, math.inf)
    assert MOST_RATIO > 10
