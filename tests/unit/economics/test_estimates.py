"""Intervals of what was measured, and of sums and products of it, cover as often as they say."""

from decimal import Decimal

import numpy as np
import pytest

from tierline.economics.estimates import Estimate

RUNS = 400


def of(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Estimate:
    return Estimate.of_mean(
        Decimal(repr(float(values.mean()))),
        Decimal(repr(float(values.std(ddof=1)))),
        len(values),
    )


def covers(estimate: Estimate, true: float) -> bool:
    return float(estimate.low) <= true <= float(estimate.high)


def test_means_sums_and_products_cover_their_true_values() -> None:
    draw = np.random.default_rng(8)
    means = sums = products = 0
    for _ in range(RUNS):
        small = of(draw.lognormal(0.0, 0.6, 200))
        large = of(draw.lognormal(2.0, 0.6, 80))
        escalated = Estimate.of_share(int(draw.binomial(400, 0.2)), 400)
        true_small, true_large = np.exp(0.18), np.exp(2.18)
        means += covers(small, true_small)
        sums += covers(small.plus(large), true_small + true_large)
        products += covers(small.plus(escalated.times(large)), true_small + 0.2 * true_large)
    # 95% of 400, less what chance takes away (three standard deviations).
    for count in (means, sums, products):
        assert count / RUNS >= 0.95 - 3 * (0.95 * 0.05 / RUNS) ** 0.5


def test_what_is_assumed_has_no_width_and_adds_none() -> None:
    one = Estimate.exact(Decimal("0.5"))
    other = Estimate(Decimal(2), Decimal(1), Decimal(4))
    assert one.plus(other) == Estimate(Decimal("2.5"), Decimal("1.5"), Decimal("4.5"))
    assert one.times(other) == Estimate(Decimal(1), Decimal("0.5"), Decimal(2))


def test_nothing_among_some_may_still_be_something() -> None:
    none = Estimate.of_share(0, 100)
    assert none.value == 0
    product = none.times(Estimate.exact(Decimal(3)))
    assert product.low == 0
    assert float(product.high) == pytest.approx(3 * float(none.high))


def test_a_bound_never_goes_below_nothing() -> None:
    estimate = Estimate.of_mean(Decimal("0.1"), Decimal(3), 5)
    assert estimate.low == 0
    assert estimate.plus(estimate).low >= 0
