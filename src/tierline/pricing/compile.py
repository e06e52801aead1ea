"""`python -m tierline.pricing.compile`: write list_prices.json from the installed genai-prices.

A development tool. The product reads the file and never imports the library, which takes 0.2 s and
prices unknown ids by prefix. Only explicit ids are taken: a model's own id, the ids that its rule
names exactly, and those of the catalogue.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from genai_prices import data, types

from tierline.base.json_text import JSON
from tierline.catalogue import sold_ids
from tierline.pricing.listed import FILE, STANDARD
from tierline.pricing.price import LongContext, Price

LIBRARY = "genai-prices"
SELLERS = ("openai", "anthropic", "google", "mistral", "azure")
CATALOGUE_NAMES = {"google": "gemini"}  # the library's name → the catalogue's
TERMS = ("service_tier", "processing", "speed")  # the call conditions that a price variant may name

_KEYS = {
    "input_usd_per_mtok": "input_mtok",
    "output_usd_per_mtok": "output_mtok",
    "cached_input_usd_per_mtok": "cache_read_mtok",
    "cache_write_5m_usd_per_mtok": "cache_write_mtok",
    "cache_write_1h_usd_per_mtok": "cache_write_1h_mtok",
}


def compiled(compiled_on: str) -> dict[str, JSON]:
    """The whole table, in the form of the file."""
    return {
        "source": LIBRARY,
        "version": version(LIBRARY),
        "compiled_on": compiled_on,
        "sellers": {
            provider.id: _seller(provider) for provider in data.providers if provider.id in SELLERS
        },
    }


def _seller(provider: types.Provider) -> dict[str, JSON]:
    models: dict[str, JSON] = {}
    aliases: dict[str, str] = {}
    ids = sold_ids(CATALOGUE_NAMES.get(provider.id, provider.id))
    for model in provider.models:
        dated = _standard(model)
        if not dated:
            continue
        models[model.id] = {STANDARD: dated} | _variants(model)
        names = {*_exact_names(model.match), *(one for one in ids if model.is_match(one))}
        aliases |= dict.fromkeys(names - {model.id}, model.id)
    return {
        "models": dict(sorted(models.items())),
        "aliases": dict(sorted((one, of) for one, of in aliases.items() if one not in models)),
    }


def _exact_names(match: Any) -> list[str]:
    """The ids that a match rule names exactly; prefixes, suffixes and patterns give none."""
    if hasattr(match, "equals"):
        return [match.equals]
    if hasattr(match, "or_"):
        return [name for clause in match.or_ for name in _exact_names(clause)]
    return []


def _standard(model: types.ModelInfo) -> list[JSON]:
    conditional = model.prices
    if not isinstance(conditional, list):
        conditional = [types.ConditionalPrice(prices=conditional)]
    return _dated([(one.constraint, one.prices) for one in conditional], standard=True)


def _variants(model: types.ModelInfo) -> dict[str, JSON]:
    by_terms: dict[str, list[tuple[Any, types.ModelPrice]]] = {}
    for variant in model.price_variants or ():
        terms = _terms(variant.when)
        if terms is not None:
            by_terms.setdefault(terms, []).append((variant.constraint, variant.prices))
    return {
        terms: dated
        for terms, prices in sorted(by_terms.items())
        if (dated := _dated(prices, standard=False))
    }


def _terms(when: Mapping[str, str]) -> str | None:
    """The one value that a call's service tier must equal; None: the standard terms, or several
    values.
    """
    if len(when) != 1:
        return None
    ((key, value),) = when.items()
    return value if key in TERMS and value not in ("default", "standard") else None


def _dated(conditional: Iterable[tuple[Any, types.ModelPrice]], *, standard: bool) -> list[JSON]:
    """[since or null, price or null], newest first; empty if no price by date is known."""
    by_date: dict[str, JSON] = {}
    for constraint, prices in conditional:
        since = getattr(constraint, "start_date", None)
        if constraint is not None and since is None:
            return []  # for example by the hour of the day: not a date, so unknown
        price = _price(prices, standard=standard)
        by_date[since.isoformat() if since else ""] = None if price is None else price.to_dict()
    if not any(by_date.values()):
        return []
    return [[since or None, price] for since, price in sorted(by_date.items(), reverse=True)]


def _price(prices: types.ModelPrice, *, standard: bool) -> Price | None:
    """A price; None if it has no rate for input or for output."""
    starts = {
        tier.start
        for key in _KEYS.values()
        if isinstance(rate := getattr(prices, key), types.TieredPrices)
        for tier in rate.tiers
    }
    base = _rates(prices, 0, standard)
    if base is None:
        return None
    steps = tuple(
        LongContext(start, step)
        for start in sorted(starts, reverse=True)
        if (step := _rates(prices, start + 1, standard)) is not None
    )
    return replace(base, long_context=steps)


def _rates(prices: types.ModelPrice, input_tokens: int, standard: bool) -> Price | None:
    """The rates for a prompt of that length.

    If the standard price has no rate for cached input, cached input costs what input costs. For a
    variant without one it is unknown, because the standard rate or the variant's may apply.
    """
    rates = {name: _at(getattr(prices, key), input_tokens) for name, key in _KEYS.items()}
    paid, made, cached, for_5m, for_1h = rates.values()
    if paid is None or made is None:
        return None
    if cached is None and standard:
        cached = paid
    return Price(paid, made, cached, for_5m, for_1h)


def _at(rate: Decimal | types.TieredPrices | None, input_tokens: int) -> Decimal | None:
    if not isinstance(rate, types.TieredPrices):
        return rate
    price = rate.base
    for tier in rate.tiers:  # in ascending order
        if input_tokens > tier.start:
            price = tier.price
    return price


def as_text(table: Mapping[str, Any]) -> str:
    """The table as JSON with one model a line, so that one changed price is one changed line."""
    head = {key: value for key, value in table.items() if key != "sellers"}
    sellers = [
        f'"{seller}": {{\n"models": {_lines(sold["models"])},\n'
        f'"aliases": {_lines(sold["aliases"])}\n}}'
        for seller, sold in table["sellers"].items()
    ]
    joined = ",\n".join(sellers)
    return f'{json.dumps(head)[:-1]}, "sellers": {{\n{joined}\n}}}}\n'


def _lines(entries: Mapping[str, JSON]) -> str:
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def main() -> None:
    """Write the file, and print what it was made from."""
    table = compiled(datetime.now(UTC).date().isoformat())
    FILE.write_text(as_text(table))
    for name, sold in table["sellers"].items():
        print(f"{name}: {len(sold['models'])} models, {len(sold['aliases'])} aliases")
    print(f"{FILE.name} written from {LIBRARY} {table['version']}")


if __name__ == "__main__":
    main()
