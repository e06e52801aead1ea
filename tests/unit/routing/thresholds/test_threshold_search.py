"""The threshold that keeps a promise, and that promises are kept as often as they say."""

import random
from math import sqrt

import pytest

from tierline.routing.thresholds.bounds import holds
from tierline.routing.thresholds.monitoring import broken
from tierline.routing.thresholds.threshold_search import (
    Scored,
    confidence_of_attempt,
    grid,
    search_threshold,
    tolerated_errors,
)

MAX_ERROR, CONFIDENCE = 0.03, 0.95


def all_right(count: int, score: float = 0.9) -> list[Scored]:
    return [Scored(score, wrong=False)] * count


def test_enough_right_answers_are_served() -> None:
    calibrated = search_threshold(all_right(99), [0.9], MAX_ERROR, CONFIDENCE)
    assert calibrated.chosen is not None
    assert (calibrated.chosen.threshold, calibrated.chosen.served, calibrated.chosen.errors) == (
        0.9,
        99,
        0,
    )
    assert calibrated.samples == 99


def test_too_few_say_how_many_are_missing() -> None:
    calibrated = search_threshold(all_right(60), [0.9], MAX_ERROR, CONFIDENCE)
    assert calibrated.chosen is None
    assert calibrated.missing == 39
    assert calibrated.tested == ()


def test_ties_are_served_together() -> None:
    scored = [*all_right(150, 0.8), Scored(0.8, wrong=True), *all_right(10, 0.7)]
    calibrated = search_threshold(scored, [0.8], MAX_ERROR, CONFIDENCE)
    assert calibrated.tested[0].served == 151
    assert calibrated.tested[0].errors == 1


def test_the_search_ends_at_the_first_failure_whatever_comes_after() -> None:
    scored = [
        *all_right(400, 0.9),
        *[Scored(0.8, wrong=True)] * 20,
        *all_right(700, 0.7),  # would hold, taken alone
    ]
    calibrated = search_threshold(scored, [0.9, 0.8, 0.7], MAX_ERROR, CONFIDENCE)
    assert [one.threshold for one in calibrated.tested] == [0.9, 0.8]
    assert calibrated.chosen is not None
    assert calibrated.chosen.threshold == 0.9
    assert holds(20, 1_120, MAX_ERROR, CONFIDENCE)


def test_with_few_outcomes_it_begins_at_the_strictest_threshold_that_can_pass() -> None:
    scored = [*all_right(120, 0.9), *all_right(100, 0.8)]
    calibrated = search_threshold(scored, [0.95, 0.9, 0.8], MAX_ERROR, CONFIDENCE)
    assert [one.threshold for one in calibrated.tested] == [0.9, 0.8]


def test_with_many_outcomes_it_begins_where_a_few_errors_do_not_end_it() -> None:
    scored = [*all_right(150, 0.9), Scored(0.9, wrong=True), *all_right(700, 0.8)]
    calibrated = search_threshold(scored, [0.9, 0.8], MAX_ERROR, CONFIDENCE)
    assert tolerated_errors(851, MAX_ERROR, CONFIDENCE) == 3
    assert [one.threshold for one in calibrated.tested] == [0.8]


def test_the_start_does_not_depend_on_which_answers_are_wrong() -> None:
    draw = random.Random(8)
    scores = [draw.random() for _ in range(900)]
    starts = {
        search_threshold(
            [Scored(score, draw.random() < share) for score in scores],
            grid(scores),
            MAX_ERROR,
            CONFIDENCE,
        )
        .tested[0]
        .threshold
        for share in (0.0, 0.01, 0.3)
    }
    assert len(starts) == 1


@pytest.mark.parametrize("sure", [20, 30, 40, 60])
def test_of_two_scores_the_surer_one_is_served_if_the_fitted_outcomes_rule_the_other_out(
    sure: int,
) -> None:
    """Few sure answers cannot stand a chance error, and the next looser threshold serves all."""
    outcomes = [*[Scored(0.9, False)] * sure, *[Scored(0.1, True)] * 80]
    calibrated = search_threshold(outcomes, [0.9, 0.0], 0.2, CONFIDENCE, outcomes)
    assert calibrated.chosen is not None
    assert (calibrated.chosen.threshold, calibrated.chosen.served) == (0.9, sure)


def test_a_grid_goes_from_strict_to_loose_and_ends_with_all() -> None:
    assert grid([0.5, 0.9, 0.5, 0.7], steps=4) == [0.9, 0.7, 0.5, 0.0]
    assert grid([]) == [0.0]


def test_all_calibrations_of_a_promise_stay_within_its_risk() -> None:
    risks = [1 - confidence_of_attempt(attempt, CONFIDENCE) for attempt in range(1, 60)]
    assert risks[0] == pytest.approx(0.045)
    assert risks == sorted(risks, reverse=True)
    assert sum(risks) <= 0.05 + 1e-12


@pytest.mark.parametrize("thresholds", [[1.1], [-0.1], [0.5, 0.6], [0.5, 0.5]])
def test_thresholds_that_cannot_be_tested_are_refused(thresholds: list[float]) -> None:
    with pytest.raises(ValueError, match="threshold"):
        search_threshold(all_right(99), thresholds, MAX_ERROR, CONFIDENCE)


MANY = pytest.mark.parametrize("sets", [150, pytest.param(1_000, marks=pytest.mark.nightly)])


def luck(sets: int) -> float:
    """Two standard deviations of a rate of 5% in so many data sets."""
    return float(2 * sqrt(0.05 * 0.95 / sets))


@MANY
def test_promises_hold_with_an_honest_signal_and_with_re_checks(sets: int) -> None:
    """A signal that tells: true error above a threshold t is 0.06 (1 - t), 3% at t = 0.5.

    Each data set is calibrated; then new outcomes come in batches, the promise is watched at every
    one of them, tightened when it seems broken, and calibrated anew on data that was not used yet.
    It counts as broken if any threshold in force was ever too loose.
    """
    draw = random.Random(6)
    ever_broken = 0
    for _ in range(sets):
        in_force = None
        for attempt in (1, 2):
            planned, scored = _outcomes(draw, 300), _outcomes(draw, 1_200)
            calibrated = search_threshold(
                scored,
                grid([one.score for one in planned], 30),
                MAX_ERROR,
                confidence_of_attempt(attempt, CONFIDENCE),
            )
            if calibrated.chosen is not None and (
                in_force is None or calibrated.chosen.threshold < in_force
            ):
                in_force = calibrated.chosen.threshold
            if in_force is None:
                continue
            if 0.06 * (1 - in_force) > MAX_ERROR:
                ever_broken += 1
                break
            seen = [one for one in _outcomes(draw, 1_000) if one.score >= in_force]
            for end in range(100, len(seen) + 1, 100):
                if broken(sum(one.wrong for one in seen[:end]), end, MAX_ERROR, CONFIDENCE):
                    in_force = (1 + in_force) / 2
                    break
    assert ever_broken / sets <= 0.05 + luck(sets)


def _outcomes(draw: random.Random, count: int) -> list[Scored]:
    scores = (draw.random() for _ in range(count))
    return [Scored(score, draw.random() < 0.12 * (1 - score)) for score in scores]


@MANY
def test_a_signal_that_says_nothing_fools_a_search_and_not_the_sequence(sets: int) -> None:
    """The negative control: 3.1% of everything is wrong, and fifty thresholds are tried."""
    draw = random.Random(7)
    ours = uncorrected = 0
    for _ in range(sets):
        scored = [Scored(draw.random(), draw.random() < 0.031) for _ in range(1_500)]
        thresholds = grid([draw.random() for _ in range(500)])
        ours += search_threshold(scored, thresholds, MAX_ERROR, CONFIDENCE).chosen is not None
        uncorrected += _any_holds(scored, thresholds)
    assert ours / sets <= 0.05 + luck(sets)
    assert uncorrected / sets > 0.10
    assert uncorrected > 2 * ours


def _any_holds(scored: list[Scored], thresholds: list[float]) -> bool:
    """What a search that just takes whatever passes would promise."""
    for threshold in thresholds:
        served = [one.wrong for one in scored if one.score >= threshold]
        if holds(sum(served), len(served), MAX_ERROR, CONFIDENCE):
            return True
    return False
