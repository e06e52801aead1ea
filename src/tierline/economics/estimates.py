"""Measured or assumed amounts with confidence intervals."""

from dataclasses import dataclass
from decimal import Decimal

from tierline.routing.thresholds.bounds import interval

CONFIDENCE = 0.95
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Estimate:
    """An amount of at least 0, with its bounds at CONFIDENCE.

    Independent estimates are added and multiplied by square-and-add: the distances to a bound are
    combined like the sides of a right angle; for a product, relative to its factors (MOVER: Zou and
    Donner 2008, "Construction of confidence limits about effect measures").
    """

    value: Decimal
    low: Decimal
    high: Decimal

    @classmethod
    def exact(cls, value: Decimal) -> "Estimate":
        """A known or assumed amount."""
        return cls(value, value, value)

    @classmethod
    def of_mean(cls, mean: Decimal, deviation: Decimal, count: int) -> "Estimate":
        """The mean of `count` values, at least 2, by Student's t."""
        from scipy.special import stdtrit  # scipy.stats would take half a second to import

        quantile = Decimal(repr(float(stdtrit(count - 1, 1.0 - (1.0 - CONFIDENCE) / 2.0))))
        off = quantile * deviation / Decimal(count).sqrt()
        return cls(mean, max(NOTHING, mean - off), mean + off)

    @classmethod
    def of_share(cls, part: int, whole: int) -> "Estimate":
        """A share, by Clopper and Pearson."""
        low, high = interval(part, whole, CONFIDENCE)
        return cls(Decimal(part) / whole, Decimal(repr(low)), Decimal(repr(high)))

    def scaled(self, by: Decimal) -> "Estimate":
        """The amount times a factor."""
        return Estimate(self.value * by, self.low * by, self.high * by)

    def plus(self, other: "Estimate") -> "Estimate":
        """The sum of two independent amounts."""
        value = self.value + other.value
        down = _across(self.value - self.low, other.value - other.low)
        up = _across(self.high - self.value, other.high - other.value)
        return Estimate(value, max(NOTHING, value - down), value + up)

    def times(self, other: "Estimate") -> "Estimate":
        """The product of two independent amounts. If one is 0, the upper bound is the product of
        the upper bounds.
        """
        value = self.value * other.value
        if not value:
            return Estimate(NOTHING, NOTHING, self.high * other.high)
        down = _across(
            (self.value - self.low) / self.value, (other.value - other.low) / other.value
        )
        up = _across(
            (self.high - self.value) / self.value, (other.high - other.value) / other.value
        )
        return Estimate(value, value * max(NOTHING, 1 - down), value * (1 + up))


def _across(one: Decimal, other: Decimal) -> Decimal:
    return (one * one + other * other).sqrt()
