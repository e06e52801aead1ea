"""What a training will cost, as far as that can be said before, and when it has paid for itself."""

from dataclasses import dataclass
from decimal import Decimal

from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.pricing.price import MILLION


@dataclass(frozen=True)
class Estimate:
    """Beforehand: tokens by the length of the file."""

    tokens: int  # of all epochs
    usd: Decimal | None  # None: nobody said what a million cost


def estimate(characters: int, epochs: int, usd_per_mtok: Decimal | None) -> Estimate:
    """Of a training file of so many characters. Raises ValueError for less than one epoch."""
    if epochs < 1:
        raise ValueError(f"a training has at least one epoch, not {epochs}")
    tokens = -(-characters // CHARACTERS_PER_TOKEN) * epochs
    return Estimate(tokens, cost(tokens, usd_per_mtok))


def cost(tokens: int, usd_per_mtok: Decimal | None) -> Decimal | None:
    """Of tokens that were trained on; None: unknown."""
    return None if usd_per_mtok is None else tokens * usd_per_mtok / MILLION


def payback_days(cost_usd: Decimal, saved_usd_per_day: Decimal) -> Decimal:
    """After how many days the savings are as much as the training cost. Raises ValueError for
    savings that are none.
    """
    if saved_usd_per_day <= 0:
        raise ValueError("what saves nothing a day never pays back")
    return cost_usd / saved_usd_per_day
