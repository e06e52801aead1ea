"""What a call costs: the price in force for exactly this model, times the tokens that were used.

`price` is the arithmetic, `listed` the public prices, `in_force` which price holds, `compile` the
command that writes the public ones. A price that nobody knows is None, and so is a cost that
depends on it; never 0.
"""

from tierline.pricing.in_force import (
    SELLERS,
    Asked,
    OwnPrices,
    at_sellers,
    host_of,
    list_price,
    price_of,
)
from tierline.pricing.price import FREE, LongContext, Price, cost_usd

__all__ = [
    "FREE",
    "SELLERS",
    "Asked",
    "LongContext",
    "OwnPrices",
    "Price",
    "at_sellers",
    "cost_usd",
    "host_of",
    "list_price",
    "price_of",
]
