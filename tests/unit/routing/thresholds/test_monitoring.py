"""Watching a promise at every new outcome."""

import random

import pytest

from tierline.routing.thresholds.monitoring import broken, wealth

MAX_ERROR, CONFIDENCE = 0.03, 0.95


def test_nothing_seen_says_nothing() -> None:
    assert wealth(0, 0, MAX_ERROR) == pytest.approx(1.0)


def test_a_bet_at_the_promised_rate_gains_nothing_on_average() -> None:
    """The property that makes it valid: expected wealth after each answer is that before."""
    for errors, samples in ((0, 0), (2, 10), (9, 100)):
        after = MAX_ERROR * wealth(errors + 1, samples + 1, MAX_ERROR) + (1 - MAX_ERROR) * wealth(
            errors, samples + 1, MAX_ERROR
        )
        assert after == pytest.approx(wealth(errors, samples, MAX_ERROR))


@pytest.mark.parametrize("runs", [150, pytest.param(500, marks=pytest.mark.nightly)])
def test_a_kept_promise_is_seldom_called_broken_however_often_one_looks(runs: int) -> None:
    draw = random.Random(8)
    alarms = 0
    for _ in range(runs):
        errors = 0
        for samples in range(1, 1_001):
            errors += draw.random() < MAX_ERROR
            if broken(errors, samples, MAX_ERROR, CONFIDENCE):
                alarms += 1
                break
    assert alarms / runs <= 0.05 + 0.02


def test_a_promise_broken_twofold_is_found_out() -> None:
    draw = random.Random(9)
    detected = 0
    for _ in range(200):
        errors = 0
        for samples in range(1, 1_501):
            errors += draw.random() < 2 * MAX_ERROR
            if broken(errors, samples, MAX_ERROR, CONFIDENCE):
                detected += 1
                break
    assert detected >= 190


@pytest.mark.parametrize(("errors", "samples"), [(-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_refused(errors: int, samples: int) -> None:
    with pytest.raises(ValueError, match="are impossible"):
        wealth(errors, samples, MAX_ERROR)
