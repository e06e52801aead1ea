"""The estimated cost of a training, and when it has paid for itself."""

from dataclasses import dataclass
from decimal import Decimal

from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.pricing.price import MILLION


@dataclass(frozen=True)
class Estimate:
    """Before the training: tokens estimated from the file's length."""

    tokens: int  # in all epochs
    usd: Decimal | None  # None: the price is unknown


def estimate(characters: int, epochs: int, usd_per_mtok: Decimal | None) -> Estimate:
    """For a training file with so many characters. Raises ValueError for less than one epoch."""
    if epochs < 1:
        raise ValueError(f"a training has at least one epoch, not {epochs}")
    tokens = -(-characters // CHARACTERS_PER_TOKEN) * epochs
    return Estimate(tokens, cost(tokens, usd_per_mtok))


def cost(tokens: int, usd_per_mtok: Decimal | None) -> Decimal | None:
    """The cost of tokens that were trained on; None: unknown."""
    return None if usd_per_mtok is None else tokens * usd_per_mtok / MILLION


def payback_days(cost_usd: Decimal, saved_usd_per_day: Decimal) -> Decimal:
    """After how many days the savings equal the training cost.

    Raises ValueError if there are none.
    """
    if saved_usd_per_day <= 0:
        raise ValueError("without savings a training never pays back")
    return cost_usd / saved_usd_per_day
