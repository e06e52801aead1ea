"""From outcomes to a promise."""

import random

from tierline.routing.thresholds.promise import FIT_SHARE, Outcome, promise, single_signal


def outcomes(count: int, *, seed: int = 7, honest: bool = True) -> list[Outcome]:
    """One in five is wrong; an honest signal is low where it is."""
    draw = random.Random(seed)
    drawn = []
    for number in range(count):
        wrong = draw.random() < 0.2
        signal = draw.uniform(0.0, 0.6) if wrong and honest else draw.uniform(0.4, 1.0)
        signals = {"agreement": signal, "input_length": draw.uniform(1, 6)}
        drawn.append(Outcome(number % 4 == 0, signals, wrong, "a" if number % 2 else "b"))
    return drawn


def test_scores_are_fitted_on_other_outcomes_than_those_that_are_tested() -> None:
    tested = promise(outcomes(1000), "agreement", 0.05, 0.95)
    assert tested.fitted + tested.calibrated.samples == 1000
    assert abs(tested.fitted / 1000 - FIT_SHARE) < 0.05
    assert tested.learned


def test_an_honest_signal_serves_most_and_keeps_the_promise() -> None:
    tested = promise(outcomes(1000), "agreement", 0.05, 0.95).calibrated
    assert tested.chosen is not None
    assert tested.chosen.bound <= 0.05
    assert tested.chosen.served > 0.5 * tested.samples


def test_a_signal_that_says_nothing_serves_nothing() -> None:
    assert promise(outcomes(1000, honest=False), "agreement", 0.05, 0.95).calibrated.chosen is None


def test_where_all_are_right_the_one_signal_ranks() -> None:
    right = [Outcome(one.fits_scores, one.signals, False) for one in outcomes(300)]
    tested = promise(right, "agreement", 0.05, 0.95)
    assert not tested.learned
    assert "nothing can be learned" in str(tested.why_not)
    assert tested.calibrated.chosen is not None
    assert tested.calibrated.chosen.served == tested.calibrated.samples
    score = single_signal("agreement").score
    assert score({"agreement": 0.2}) < score({"agreement": 0.9}) < 1.0


def test_what_was_seen_is_told_by_label() -> None:
    tested = promise(outcomes(1000), "agreement", 0.05, 0.95)
    assert set(tested.by_label) == {"a", "b"}
    assert sum(one.samples for one in tested.by_label.values()) == tested.calibrated.samples
    chosen = tested.calibrated.chosen
    assert chosen is not None
    assert sum(one.errors for one in tested.by_label.values()) == chosen.errors


def test_a_later_attempt_is_tested_harder() -> None:
    first, third = (promise(outcomes(500), "agreement", 0.05, 0.95, n).tested_at for n in (1, 3))
    assert 0.95 < first < third
