"""What a call costs: a price by exact model id on a date, times the tokens that were used.

A price that nobody knows is None, and so is a cost that depends on it; never 0. Public prices come
from genai-prices, of which only ids that are listed letter by letter are taken: its prefix rules
would give a price to models that do not exist.
"""

import threading
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tierline.features import ModelRef, Price
from tierline.settings import settings

if TYPE_CHECKING:
    from tierline.providers.types import Usage

MILLION = Decimal(1_000_000)
FREE = Price(Decimal(0), Decimal(0))  # a local model's tokens; its time is shown as model seconds
LIST_PRICED = {"openai": "api.openai.com"}  # provider → where the list prices hold

_loading = threading.Lock()


def price_of(
    ref: ModelRef, at: datetime, override: Mapping[str, Price] | None = None
) -> Price | None:
    """The price in force at `at` (aware) for exactly this model; None when nobody knows it.

    A feature's own price goes first. A list price holds only at the provider itself: another
    server behind OPENAI_BASE_URL is not bound by it.
    """
    own = (override or {}).get(str(ref))
    if own is not None:
        return own
    if ref.provider == "local":
        return FREE
    host = LIST_PRICED.get(ref.provider)
    if host is None or urlsplit(settings().openai_base_url).hostname != host:
        return None
    return list_price(ref, at)


def list_price(ref: ModelRef, at: datetime) -> Price | None:
    """The provider's public price, wherever the model is served from; None when it has none."""
    dated = _table().get((ref.provider, ref.model), [])
    today = at.date()
    for since, price in dated:
        if since is None or since <= today:
            return price
    return None


def cost_usd(usage: "Usage | None", price: Price | None) -> Decimal | None:
    """The exact cost in USD, not rounded; None when tokens or price are unknown.

    Cached input costs its own rate, and the input's where the price names none; reasoning costs
    what output does. What was written to a cache has no rate here, so its cost is not known.
    """
    if usage is None or price is None:
        return None
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    if usage.cache_write_5m_tokens or usage.cache_write_1h_tokens:
        return None
    cached_rate = price.cached_input_usd_per_mtok
    if cached_rate is None:
        cached_rate = price.input_usd_per_mtok
    return (
        usage.input_tokens * price.input_usd_per_mtok
        + (usage.cached_input_tokens or 0) * cached_rate
        + (usage.output_tokens + (usage.reasoning_tokens or 0)) * price.output_usd_per_mtok
    ) / MILLION


Dated = list[tuple[date | None, Price | None]]  # newest first; a date of None: from the beginning


def _table() -> Mapping[tuple[str, str], Dated]:
    # Two threads that need it first would import the library twice over each other.
    with _loading:
        return _compiled()


@cache
def _compiled() -> Mapping[tuple[str, str], Dated]:
    from genai_prices import data  # 0.2 s: only when something is priced by list

    table: dict[tuple[str, str], Dated] = {}
    for provider in data.providers:
        for model in provider.models:
            dated = _dated(model.prices)
            for name in {model.id, *_exact_names(model.match)}:
                table[provider.id, name] = dated
    return table


def _exact_names(match: Any) -> list[str]:
    """The ids that a match rule spells out; prefixes, suffixes and patterns give none."""
    if hasattr(match, "equals"):
        return [match.equals]
    if hasattr(match, "or_"):
        return [name for clause in match.or_ for name in _exact_names(clause)]
    return []


def _dated(prices: Any) -> Dated:
    if not isinstance(prices, list):
        return [(None, _price(prices))]
    dated: Dated = []
    for conditional in prices:
        constraint = conditional.constraint
        since = getattr(constraint, "start_date", None)
        if constraint is not None and since is None:
            continue  # by the hour of the day, for one: not a date, so not known
        dated.append((since, _price(conditional.prices)))
    return sorted(dated, key=lambda entry: entry[0] or date.min, reverse=True)


def _price(prices: Any) -> Price | None:
    """None where the price depends on more than the tokens' kind, such as the prompt's length."""
    rates = (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok)
    if not all(rate is None or isinstance(rate, Decimal) for rate in rates):
        return None
    paid, made, cached = rates
    if paid is None or made is None:
        return None
    return Price(paid, made, cached)
