"""The exact binomial bounds.

scipy.stats is imported where it is used: it takes a second, which each test process would need.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.routing.thresholds.bounds import (
    holds,
    interval,
    lower_bound,
    samples_needed,
    upper_bound,
)


@given(st.integers(1, 2000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_both_bounds_are_those_of_an_exact_test(
    samples: int, data: st.DataObject, confidence: float
) -> None:
    from scipy.stats import binomtest

    errors = data.draw(st.integers(0, samples))
    expected = binomtest(errors, samples).proportion_ci(confidence, "exact")
    assert interval(errors, samples, confidence) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("rate", [0.005, 0.03, 0.2])
def test_a_bound_is_too_low_as_seldom_as_it_says(rate: float) -> None:
    from scipy.stats import binom

    """Summed over everything that 400 samples can show, not drawn."""
    missed = sum(
        binom.pmf(errors, 400, rate)
        for errors in range(401)
        if upper_bound(errors, 400, 0.95) < rate
    )
    assert missed <= 0.05


def test_bounds_at_the_ends() -> None:
    assert lower_bound(0, 10, 0.95) == 0.0
    assert upper_bound(10, 10, 0.95) == 1.0
    assert upper_bound(0, 99, 0.95) == pytest.approx(1 - 0.05 ** (1 / 99))


def test_how_many_samples_a_promise_needs() -> None:
    assert samples_needed(0.03, 0.95) == 99  # the rule of three, exactly
    assert samples_needed(0.03, 0.95, 0.015) == pytest.approx(350, rel=0.1)
    assert samples_needed(0.03, 0.95, 0.02) == pytest.approx(770, rel=0.1)
    assert samples_needed(0.03, 0.95, 0.03) is None


@given(st.floats(0.005, 0.3), st.sampled_from([0.8, 0.95, 0.99]), st.sampled_from([0.0, 0.2, 0.6]))
def test_one_sample_fewer_is_too_few(max_error: float, confidence: float, share: float) -> None:
    expected = max_error * share
    needed = samples_needed(max_error, confidence, expected)
    assert needed is not None
    assert upper_bound(expected * needed, needed, confidence) <= max_error
    if needed > 1:
        assert upper_bound(expected * (needed - 1), needed - 1, confidence) > max_error


def test_nothing_holds_without_samples() -> None:
    assert not holds(0, 0, 0.03, 0.95)


@pytest.mark.parametrize(
    ("errors", "samples", "confidence"), [(-1, 10, 0.9), (11, 10, 0.9), (0, 0, 0.9), (1, 10, 1.0)]
)
def test_counts_that_cannot_be_are_refused(errors: int, samples: int, confidence: float) -> None:
    with pytest.raises(ValueError):
        upper_bound(errors, samples, confidence)
    with pytest.raises(ValueError):
        lower_bound(errors, samples, confidence)
