"""The public prices, as `list_prices.json` has them: by exact id or listed alias, on a date.

The file is compiled from genai-prices by `python -m tierline.pricing.compile`. Reading it costs a
few milliseconds, once a process, and only when something is priced by list.
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
"""The terms of a call that asked for nothing: no service tier, speed or batch of its own."""

Dated = tuple[tuple[date | None, Price | None], ...]
"""Newest first; a date of None: from the beginning."""


def listed(seller: str, model: str, at: datetime, terms: str = STANDARD) -> Price | None:
    """What `seller` publishes for exactly this id on the day of `at`; None when it has no price.

    Terms without a rate of their own have none: the standard rate is never taken for them.
    """
    today = at.date()
    for since, price in _dated(seller, model, terms):
        if since is None or since <= today:
            return price
    return None


def is_listed(seller: str, model: str) -> bool:
    """Whether the seller publishes anything for exactly this id."""
    sold = _table()["sellers"].get(seller)
    return sold is not None and (model in sold["models"] or model in sold["aliases"])


def edition() -> tuple[str, str]:
    """The library's version that the prices are from, and the day they were compiled."""
    table = _table()
    return table["version"], table["compiled_on"]


@cache
def _table() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(FILE.read_bytes())
    return found


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
