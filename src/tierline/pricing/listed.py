"""The public prices in `list_prices.json`: by exact id or listed alias, on a date.

`python -m tierline.pricing.compile` makes the file from genai-prices. Reading it takes a few
milliseconds, once a process, when the first list price is needed.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tierline.pricing.price import Price

FILE = Path(__file__).with_name("list_prices.json")

STANDARD = ""
"""The terms of a call without a service tier, speed or batch."""

Dated = tuple[tuple[date | None, Price | None], ...]
"""Newest first; a date of None: from the beginning."""


def listed(seller: str, model: str, at: datetime, terms: str = STANDARD) -> Price | None:
    """The price that `seller` publishes for exactly this id on the day of `at`; None if there is
    none.

    Terms without a rate of their own have no price; the standard rate is not used for them.
    """
    today = at.date()
    for since, price in _dated(seller, model, terms):
        if since is None or since <= today:
            return price
    return None


def is_listed(seller: str, model: str) -> bool:
    """Whether the seller publishes any price for exactly this id."""
    sold = _table()["sellers"].get(seller)
    return sold is not None and (model in sold["models"] or model in sold["aliases"])


def listed_ids(seller: str) -> frozenset[str]:
    """Every id that the seller publishes a price for."""
    sold = _table()["sellers"].get(seller, {})
    return frozenset((*sold.get("models", ()), *sold.get("aliases", ())))


def edition() -> tuple[str, str]:
    """The library's version that the prices are from, and the day of compilation."""
    table = _table()
    return table["version"], table["compiled_on"]


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(FILE.read_bytes())
    return table


@cache
def _dated(seller: str, model: str, terms: str) -> Dated:
    sold = _table()["sellers"].get(seller)
    if sold is None:
        return ()
    by_terms = sold["models"].get(sold["aliases"].get(model, model), {})
    return tuple(
        (
            None if since is None else date.fromisoformat(since),
            None if price is None else Price.from_dict(price),
        )
        for since, price in by_terms.get(terms, ())
    )
