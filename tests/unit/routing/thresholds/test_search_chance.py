"""The simulated chance of a search, and the number of outcomes that it recommends."""

import tracemalloc

import numpy as np
import pytest

from tierline.routing.thresholds import search_chance
from tierline.routing.thresholds.many_searches import NONE, counts_at, search_each
from tierline.routing.thresholds.search_chance import FEWEST_FITTED, MOST_TESTED, chances
from tierline.routing.thresholds.threshold_search import Scored, grid


def sets(seed: int, rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A score that separates well: 13% are wrong, nearly all of them at scores below 0.3."""
    draw = np.random.default_rng(seed)
    scores = draw.random((rows, count))
    return scores, draw.random((rows, count)) < 0.6 / (1 + np.exp(22 * (scores - 0.22))) + 0.001


def fitted(seed: int, count: int) -> list[Scored]:
    scores, wrong = sets(seed, 1, count)
    return [Scored(float(a), bool(b)) for a, b in zip(scores[0], wrong[0], strict=True)]


def share_that_finds(count: int, max_error: float, confidence: float) -> float:
    """How many of 300 real searches on so many outcomes find a promise."""
    planned, _ = sets(1, 300, 250)
    thresholds = np.stack([grid(row.tolist()) for row in planned])
    served, errors = counts_at(*sets(2, 300, count), thresholds)
    return float((search_each(served, errors, max_error, confidence) != NONE).mean())


def test_searches_with_the_recommended_number_succeed_as_often_as_wanted() -> None:
    recommended = []
    for seed in range(3, 6):
        chance = chances(fitted(seed, 500), 250, 0.03, 0.955)
        assert chance is not None
        assert chance.tested is not None
        recommended.append(chance.tested)
    middle = sorted(recommended)[1]
    assert middle < 1_000
    assert share_that_finds(middle, 0.03, 0.955) >= 0.85


def test_the_fewest_that_can_pass_are_no_recommendation() -> None:
    chance = chances(fitted(9, 250), 102, 0.03, 0.955)  # 102 without an error are the fewest
    assert chance is not None
    assert chance.now < 0.5
    assert chance.tested is not None
    assert chance.tested > 200


def test_few_outcomes_without_an_error_promise_no_success() -> None:
    """Of 25 right answers the error rate may still be above the 5% that is promised."""
    chance = chances([Scored(place / 25, False) for place in range(25)], 300, 0.05, 0.955)
    more = chances([Scored(place / 250, False) for place in range(250)], 300, 0.05, 0.955)
    assert chance is not None
    assert more is not None
    assert chance.now < 0.85
    assert more.now > 0.9


def test_a_promise_below_what_the_tier_reaches_has_no_number() -> None:
    bad = [Scored(place / 300, place % 3 == 0) for place in range(300)]
    chance = chances(bad, 1_000, 0.01, 0.95)
    assert chance is not None
    assert (chance.now, chance.tested) == (0.0, None)
    assert MOST_TESTED < 100_000


def test_too_few_outcomes_say_nothing() -> None:
    assert chances(fitted(1, FEWEST_FITTED - 1), 100, 0.05, 0.95) is None


@pytest.mark.parametrize("wrong", [False, True])
def test_outcomes_of_one_kind_have_a_chance_too(wrong: bool) -> None:
    chance = chances([Scored(0.9, wrong)] * 200, 400, 0.05, 0.95)
    assert chance is not None
    assert chance.now == pytest.approx(0.0 if wrong else 1.0, abs=0.05)


def test_the_most_outcomes_take_little_memory() -> None:
    known = fitted(4, 12_500)  # a quarter of the most that a calibration reads
    tracemalloc.start()
    try:
        chance = chances(known, 37_500, 0.03, 0.955)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert chance is not None
    assert chance.now > 0.95
    assert peak < 40e6, f"{peak / 1e6:.0f} MB"


def test_answers_that_are_drawn_together_give_about_the_same_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = fitted(6, 600)
    each = chances(known, 230, 0.03, 0.955)
    monkeypatch.setattr(search_chance, "MOST_GROUPS", 60)
    together = chances(known, 230, 0.03, 0.955)
    assert each is not None
    assert together is not None
    assert 0.1 < each.now < 0.99
    assert together.now == pytest.approx(each.now, abs=0.08)
