"""Two tiers on the same examples: intervals that cover, and what may be done by them."""

import numpy as np
import pytest

from tests.support.samples.score_pairs import pairs
from tierline.evaluation.compare import bootstrap, compare, fieller, mean_interval
from tierline.evaluation.recommendation import (
    SHIP,
    differing,
    examples_needed,
    recommendation,
)


def luck(rate: float, runs: int, deviations: float) -> float:
    """How far a rate in so many runs may be from what it is."""
    return float(deviations * (rate * (1 - rate) / runs) ** 0.5)


RUNS = pytest.mark.parametrize("runs", [20, pytest.param(200, marks=pytest.mark.nightly)])


@RUNS
@pytest.mark.parametrize(
    ("n", "ratio", "extra"),
    [(150, 0.90, 0.02), (400, 0.95, 0.03), (400, 0.85, 0.0), (80, 0.97, 0.01)],
)
def test_the_interval_of_one_look_covers_the_true_ratio_as_often_as_it_says(
    n: int, ratio: float, extra: float, runs: int
) -> None:
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(runs):
        compared = compare(*pairs(draw, n, ratio, extra=extra))
        assert compared.interval is not None
        assert compared.interval_once is not None
        assert compared.interval.low < compared.interval_once.low
        assert compared.interval.high > compared.interval_once.high
        covered += compared.interval_once.low <= ratio <= compared.interval_once.high
    assert covered / runs >= 0.95 - luck(0.95, runs, 1.65)


def test_the_bootstrap_and_fieller_agree_where_both_apply() -> None:
    draw = np.random.default_rng(2)
    for ratio in (0.85, 0.92, 0.97):
        small, large = (np.array(one) for one in pairs(draw, 800, ratio))
        resampled, exact = bootstrap(small, large), fieller(small, large)
        assert resampled is not None
        assert exact is not None
        assert resampled.low == pytest.approx(exact.low, abs=0.006)
        assert resampled.high == pytest.approx(exact.high, abs=0.006)


def test_scores_between_right_and_wrong_are_compared_too() -> None:
    draw = np.random.default_rng(3)
    large = draw.beta(8, 2, 500)
    small = np.clip(large * 0.93 + draw.normal(0, 0.05, 500), 0, 1)
    compared = compare(small.tolist(), large.tolist())
    assert compared.interval is not None
    assert compared.interval.low < 0.93 < compared.interval.high
    assert compared.interval_once is not None
    assert compared.interval_once.high - compared.interval_once.low < 0.02


@RUNS
def test_a_model_that_keeps_89_percent_ships_in_one_of_twenty_runs_at_most(runs: int) -> None:
    draw = np.random.default_rng(4)
    shipped = sum(
        recommendation(compare(*pairs(draw, 600, 0.89))).rung in ("ship", "default")
        for _ in range(runs)
    )
    assert shipped / runs <= 0.05


@RUNS
def test_one_that_keeps_97_percent_is_found_with_the_examples_that_are_asked_for(
    runs: int,
) -> None:
    draw = np.random.default_rng(5)
    successes, requested = 0, []
    for _ in range(runs):
        small, large = pairs(draw, 200, 0.97)
        first = recommendation(compare(small, large))
        if first.rung in ("ship", "default"):
            successes += 1
            continue
        if first.more is None:
            continue
        requested.append(first.more)
        more = pairs(draw, first.more, 0.97)
        second = recommendation(compare(small + more[0], large + more[1]))
        successes += second.rung in ("ship", "default")
    assert successes / runs >= 0.9
    assert min(requested) >= 20  # never "1 more example"


def test_what_is_at_the_floor_is_too_close_to_call() -> None:
    draw = np.random.default_rng(8)
    advice = recommendation(compare(*pairs(draw, 4_000, 0.90)))
    assert (advice.rung, advice.more, advice.too_close) == ("open", None, ("ship",))
    assert "too close to 90% to call" in advice.reason


def test_what_ships_says_how_many_decide_the_default() -> None:
    draw = np.random.default_rng(9)
    advice = recommendation(compare(*pairs(draw, 800, 0.97)))
    assert advice.rung == "ship"
    assert advice.more is None
    assert advice.more_for_default is not None
    small, large = pairs(draw, 800 + advice.more_for_default, 0.97)
    assert recommendation(compare(small, large)).rung == "default"
    certain = recommendation(compare(*pairs(draw, 8_000, 0.92)))
    assert (certain.rung, certain.more_for_default, certain.too_close) == ("ship", None, ())


def test_where_no_pair_differs_the_interval_still_has_a_width() -> None:
    compared = compare([1.0] * 50, [1.0] * 50)
    assert compared.interval is not None
    assert (compared.ratio, compared.method, compared.mcnemar_p) == (1.0, "exact", 1.0)
    assert 0.8 < compared.interval.low < 0.9
    assert compared.interval_once is not None
    assert 0.9 < compared.interval_once.low < 0.95
    assert recommendation(compare([1.0] * 500, [1.0] * 500)).rung == "default"


def test_clear_cases_are_decided_and_the_others_say_what_would_do() -> None:
    draw = np.random.default_rng(6)
    assert recommendation(compare(*pairs(draw, 3_000, 0.99, extra=0.005))).rung == "default"
    assert recommendation(compare(*pairs(draw, 5_000, 0.93))).rung == "ship"
    assert recommendation(compare(*pairs(draw, 3_000, 0.80))).rung == "investigate"
    open_one = recommendation(compare(*pairs(draw, 100, 0.97)))
    assert open_one.rung == "open"
    assert open_one.more is not None
    assert "does not decide" in open_one.reason
    assert recommendation(compare([0.0] * 20, [0.0] * 20)).rung == "investigate"


def test_mcnemar_is_the_exact_binomial_of_the_pairs_that_differ() -> None:
    small = [1.0] * 2 + [0.0] * 9 + [1.0] * 89
    large = [0.0] * 2 + [1.0] * 9 + [1.0] * 89
    compared = compare(small, large)
    assert (compared.only_small, compared.only_large) == (2, 9)
    assert compared.mcnemar_p == pytest.approx(0.0654296875)  # 2 * sum C(11, k) / 2^11, k <= 2


def test_a_mean_of_rights_and_wrongs_is_bounded_exactly() -> None:
    bounds = mean_interval([1.0] * 90 + [0.0] * 10)
    assert (round(bounds.low, 4), round(bounds.high, 4)) == (0.8238, 0.9510)  # Clopper-Pearson
    assert mean_interval([0.5, 0.6, 0.7]).low >= 0.0


def test_more_is_needed_the_nearer_the_ratio_is_to_the_floor() -> None:
    compared = compare(*pairs(np.random.default_rng(7), 200, 0.95))
    assert examples_needed(compared, SHIP, 0.03) > examples_needed(compared, SHIP, 0.07) > 0
    with pytest.raises(ValueError, match="is not above 0"):
        examples_needed(compared, SHIP, 0.0)


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [([], [], "in pairs"), ([1.0], [1.0, 0.0], "in pairs"), ([1.2], [1.0], "between 0 and 1")],
)
def test_what_are_no_pairs_of_scores_is_refused(
    small: list[float], large: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(small, large)


def test_examples_on_which_they_differ_come_with_the_losses_first() -> None:
    assert differing([1.0, 0.0, 1.0, 0.5], [1.0, 1.0, 0.0, 1.0]) == [1, 3, 2]
