"""The vectorised search chooses as the search does, and promises hold as often as they say."""

import numpy as np
import pytest

from tierline.routing.thresholds.many_searches import NONE, counts_at, most_errors, search_each
from tierline.routing.thresholds.threshold_search import Scored, grid, search_threshold

CONFIDENCE = 0.95
MOST_BROKEN = 62  # of 1,000 sets: 5% and its chance (the 95% quantile of the binomial)


def test_it_chooses_as_the_search_of_one_set_does() -> None:
    draw = np.random.default_rng(1)
    for number, max_error in ((60, 0.1), (300, 0.03), (900, 0.05), (2_000, 0.01)):
        scores = draw.random((40, number)).round(2)
        wrong = draw.random((40, number)) < 2.5 * max_error * (1 - scores)
        thresholds = np.linspace(1.0, 0.0, 51).round(2)
        tiled = np.tile(thresholds, (40, 1))
        fits = number // 4  # the fitted outcomes of each set; the others are tested
        counts = counts_at(scores[:, :fits], wrong[:, :fits], tiled)
        tests = counts_at(scores[:, fits:], wrong[:, fits:], tiled)
        many = search_each(*tests, max_error, CONFIDENCE, counts)
        for row in range(40):
            scored = [
                Scored(float(score), bool(bad))
                for score, bad in zip(scores[row], wrong[row], strict=True)
            ]
            one = search_threshold(
                scored[fits:], thresholds.tolist(), max_error, CONFIDENCE, scored[:fits]
            ).chosen
            chosen = None if many[row] == NONE else thresholds[many[row]]
            assert chosen == (None if one is None else one.threshold)


def test_the_most_errors_are_those_that_the_bound_allows() -> None:
    assert most_errors(np.array([98, 99, 156, 157, 0]), 0.03, CONFIDENCE).tolist() == [
        *(-1, 0, 0, 1, -1)
    ]


@pytest.mark.parametrize("max_error", [0.01, 0.03, 0.05])
@pytest.mark.parametrize("count", [300, 1_000, pytest.param(3_000, marks=pytest.mark.nightly)])
def test_a_promise_is_broken_in_at_most_5_percent_of_a_thousand_sets(
    count: int, max_error: float
) -> None:
    """The true error rate of what is served at threshold t is 1.6 max_error (1 - t)."""
    draw = np.random.default_rng(2)
    fitted = draw.random((1_000, count // 4))
    scores = draw.random((1_000, count - count // 4))
    wrong = draw.random(scores.shape) < 3.2 * max_error * (1.0 - scores)
    thresholds = np.stack([_padded(grid(row.tolist())) for row in fitted])
    served, errors = counts_at(scores, wrong, thresholds)
    chosen = search_each(served, errors, max_error, CONFIDENCE)
    at = thresholds[np.arange(1_000), chosen]
    broken = (chosen != NONE) & (1.6 * (1.0 - at) > 1.0)
    assert broken.sum() <= MOST_BROKEN


def _padded(thresholds: list[float]) -> list[float]:
    return [*thresholds, *[0.0] * (51 - len(thresholds))]
