"""One confidence from several signals."""

import random

import pytest

from tierline.routing.thresholds.combination import CannotLearn, Combination, Term, fit


def drawn(count: int, seed: int = 1) -> tuple[list[dict[str, float | None]], list[bool]]:
    """One signal that tells, one that is noise, one that is often missing where it is bad."""
    draw = random.Random(seed)
    signals: list[dict[str, float | None]] = []
    right = []
    for _ in range(count):
        good = draw.random() < 0.7
        signals.append(
            {
                "tells": draw.gauss(1.0 if good else -1.0, 1.0),
                "noise": draw.gauss(0.0, 1.0),
                "sometimes": None if draw.random() < (0.1 if good else 0.6) else 1.0,
            }
        )
        right.append(good)
    return signals, right


def test_what_tells_weighs_and_noise_does_not() -> None:
    combination = fit(*drawn(2_000))
    assert combination.terms["tells"].weight > 1.0
    assert abs(combination.terms["noise"].weight) < 0.2
    assert combination.terms["sometimes"].missing < -1.0


def test_scores_are_chances() -> None:
    """Among new answers with a score of about s, about s are right."""
    combination = fit(*drawn(4_000, seed=1))
    signals, right = drawn(4_000, seed=2)
    scored = sorted(zip((combination.score(one) for one in signals), right, strict=True))
    for start in range(0, 4_000, 800):
        chunk = scored[start : start + 800]
        predicted = sum(score for score, _ in chunk) / 800
        seen = sum(good for _, good in chunk) / 800
        assert predicted == pytest.approx(seen, abs=0.06)


def test_it_is_kept_as_numbers() -> None:
    combination = fit(*drawn(300))
    again = Combination.from_dict(combination.to_dict())
    signals, _ = drawn(50, seed=3)
    assert [again.score(one) for one in signals] == [combination.score(one) for one in signals]


def test_signals_that_it_does_not_know_are_ignored_and_far_ones_bounded() -> None:
    combination = Combination(0.0, {"a": Term(mean=0.0, scale=1.0, weight=1.0)})
    assert combination.score({"other": 5.0}) == 0.5
    assert combination.score({"a": 1e300}) == combination.score({"a": 8.0})
    assert 0.0 < combination.score({"a": -1e300}) < 0.001


@pytest.mark.parametrize("right", [[True] * 5, [False] * 5])
def test_one_class_teaches_nothing(right: list[bool]) -> None:
    with pytest.raises(CannotLearn, match="all 5 answers are"):
        fit([{"a": float(index)} for index in range(5)], right)


def test_no_signal_teaches_nothing() -> None:
    with pytest.raises(CannotLearn, match="no outcome has a signal"):
        fit([{"a": None}, {}], [True, False])


def test_a_signal_that_never_changes_is_no_error() -> None:
    combination = fit([{"a": 1.0}] * 6, [True, False] * 3)
    assert combination.score({"a": 1.0}) == pytest.approx(0.5, abs=0.01)
