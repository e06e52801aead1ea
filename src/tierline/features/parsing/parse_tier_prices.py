"""Reads the prices that a feature file sets for a tier's models."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from tierline.base.digits import decimal
from tierline.base.json_text import JSON
from tierline.base.model_ref import ModelRef
from tierline.base.yaml_lines import Path
from tierline.features.parsing.reading import Reading
from tierline.pricing import Price

PRICE_REQUIRED = ("input_usd_per_mtok", "output_usd_per_mtok")


PRICE_OPTIONAL = (
    "cached_input_usd_per_mtok",
    "cache_write_5m_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "usd_per_hour",
)


_MAX_PRICE = Decimal(1_000_000)


def read_prices(
    reading: Reading, value: JSON, path: Path, models: Collection[ModelRef]
) -> Mapping[str, Price]:
    refs = [str(model) for model in models]
    prices: dict[str, Price] = {}
    for ref, item in reading.mapping(value, path, refs).items():
        here = (*path, ref)
        keys = (*PRICE_REQUIRED, *PRICE_OPTIONAL)
        entry = reading.mapping(item, here, keys, PRICE_REQUIRED)
        amounts = {
            key: _amount(reading, amount, (*here, key))
            for key, amount in entry.items()
            if key in keys
        }
        if all(key in amounts for key in PRICE_REQUIRED):
            prices[ref] = Price.from_dict(amounts)
    return prices


def _amount(reading: Reading, value: JSON, path: Path) -> Decimal:
    """USD, written as a number, or as text where every digit counts."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        amount = decimal(str(value))
        if not 0 <= amount <= _MAX_PRICE:
            raise ValueError
    except ValueError:
        reading.problem(path, f"must be USD, 0 to {_MAX_PRICE:,}")
        return Decimal(0)
    return amount
