"""The majority among samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.checks.agreement import agreement, decided


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


@given(
    st.lists(st.sampled_from([None, "x", "y", "z"]), min_size=1, max_size=6),
    st.integers(min_value=0, max_value=20),
    st.data(),
)
def test_what_is_decided_no_later_sample_changes(
    drawn: list[str | None], twentieths: int, data: st.DataObject
) -> None:
    """None stands for a sample that failed its checks."""
    threshold = twentieths / 20
    so_far = data.draw(st.integers(min_value=1, max_value=len(drawn)))
    good = [one for one in drawn[:so_far] if one is not None]
    if not decided(good, len(drawn) - so_far, len(drawn), threshold):
        return
    whole = [one for one in drawn if one is not None]
    before, after = fate(good, len(drawn), threshold), fate(whole, len(drawn), threshold)
    assert before == after


def fate(good: list[str], of: int, threshold: float) -> str | None:
    """The answer that is served; None when none is sure enough."""
    if not good:
        return None
    chosen = good[agreement(good)[0]]
    return chosen if good.count(chosen) / of >= threshold else None


def test_a_first_answer_that_fails_decides_where_all_must_agree() -> None:
    assert decided([], left=1, of=2, threshold=1.0)
    assert not decided(["x"], left=1, of=2, threshold=1.0)
