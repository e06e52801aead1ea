"""What a call costs: the price in force for exactly this model, times the tokens used.

`price` is the arithmetic, `listed` has the public prices, `in_force` chooses the price, `compile`
is the command that writes the public prices. An unknown price is None, and so is a cost that
depends on it; it is never 0.
"""

from tierline.pricing.in_force import (
    SELLERS,
    OwnPrices,
    PricedCall,
    at_sellers,
    host_of,
    list_price,
    price_of,
)
from tierline.pricing.price import FREE, LongContext, Price, cost_usd

__all__ = [
    "FREE",
    "SELLERS",
    "LongContext",
    "OwnPrices",
    "Price",
    "PricedCall",
    "at_sellers",
    "cost_usd",
    "host_of",
    "list_price",
    "price_of",
]
