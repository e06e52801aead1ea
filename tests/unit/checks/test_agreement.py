"""The majority among samples."""

import pytest

from tierline.checks.agreement import agreement


def test_equal_values_agree_however_they_are_written() -> None:
    assert agreement([{"a": 1, "b": 2.0}, {"b": 2, "a": 1.0}]) == (0, 1.0)


def test_the_majority_is_found_behind_others() -> None:
    assert agreement(["x", "y", "y"]) == (1, pytest.approx(2 / 3))


def test_the_first_seen_wins_a_tie() -> None:
    assert agreement(["x", "y", "y", "x"]) == (0, 0.5)


def test_true_is_not_one() -> None:
    assert agreement([True, 1, 1]) == (1, pytest.approx(2 / 3))


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="no outputs"):
        agreement([])
