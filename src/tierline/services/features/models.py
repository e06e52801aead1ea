"""The models that a feature file can name: the catalogue's models and those that features use.

Each has its price and whether it can be called here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from psycopg import Connection

from tierline import providers
from tierline.base.json_text import JSON
from tierline.catalogue import Family, Sold, families, find, replacement
from tierline.catalogue.families import sources
from tierline.features import ModelRef, Price
from tierline.pricing import Asked, OwnPrices, price_of
from tierline.services.features.model_objections import SOON, region
from tierline.storage.calls import circuits
from tierline.storage.features import features
from tierline.storage.money import prices

UNKNOWN = (
    *("id", "lifecycle", "released", "retires", "not_before", "successor"),
    *("context_tokens", "output_tokens"),
    *("structured_output", "logprobs", "temperature", "reasoning"),
)
"""The facts of a model that is not in the catalogue: all null."""


@dataclass
class _Use:
    """A model that applied features name."""

    features: list[str] = field(default_factory=list)
    override: dict[str, Price] = field(default_factory=dict)  # the first feature's own prices


def list_models(connection: Connection[Any]) -> list[dict[str, JSON]]:
    """Models in use first, by name; then the catalogue's, by class and family.

    A family that nobody sells under its name is listed too: `model` is null, and its nearest is
    given.
    """
    now = datetime.now(UTC)
    own = prices.own_prices(connection)
    used = _used(connection)
    open_since = {one.model: one for one in circuits.every(connection) if one.open}
    models: list[dict[str, JSON]] = []
    for name in sorted(used):
        ref = ModelRef.parse(name)
        listed = find(ref.provider, ref.model)
        family, sold = (None, None) if listed is None else listed
        models.append(_entry(ref, family, sold, used[name], own, now))
    models += _catalogue(used, own, now)
    for entry in models:
        circuit = open_since.get(entry["model"] or "")
        entry["circuit_open"] = None if circuit is None else circuit.reason
        entry["left_alone"] = entry["circuit_open"]  # its name in version 0.1
    return models


def _used(connection: Connection[Any]) -> dict[str, _Use]:
    uses: dict[str, _Use] = {}
    for feature in features.readable(features.current_versions(connection)):
        for tier in feature.allowed_tiers():
            for model in tier.models:
                use = uses.setdefault(str(model), _Use(override=dict(tier.prices)))
                if feature.name not in use.features:
                    use.features.append(feature.name)
    return uses


def _catalogue(used: dict[str, _Use], own: OwnPrices, now: datetime) -> Iterator[dict[str, JSON]]:
    for family in families():
        for sold in family.sold:
            ref = ModelRef(sold.provider, sold.id)
            if str(ref) not in used:
                yield _entry(ref, family, sold, _Use(), own, now)
        if not family.sold:
            yield _entry(None, family, None, _Use(), own, now)


def _entry(
    ref: ModelRef | None,
    family: Family | None,
    sold: Sold | None,
    use: _Use,
    own: OwnPrices,
    now: datetime,
) -> dict[str, JSON]:
    missing = None if ref is None else _missing(ref.provider)
    price = None if ref is None else price_of(ref, Asked(now), use.override, own)
    return {
        "model": None if ref is None else str(ref),
        "family": None if family is None else family.name,
        "class": None if family is None else family.model_class,
        "features": use.features,
        "configured": None if ref is None else missing is None,
        "missing": missing,
        "region": None if ref is None else region(ref.provider),
        "price": None if price is None else price.to_dict(),
        **_facts(sold, now.date()),
        "self_hosted": {} if family is None else dict(family.self_hosted),
        "nearest": None if family is None else family.nearest,
        "note": None if family is None else family.note,
    }


def _facts(sold: Sold | None, today: date) -> dict[str, JSON]:
    if sold is None:
        return {**dict.fromkeys(UNKNOWN), "aliases": [], "sources": {}}
    return {
        "id": sold.id,
        "aliases": list(sold.aliases),
        "lifecycle": _lifecycle(sold, today),
        "released": _day(sold.released),
        "retires": _day(sold.retires),
        "not_before": _day(sold.not_before),
        "successor": replacement(sold.ref, today),
        "context_tokens": sold.context_tokens,
        "output_tokens": sold.output_tokens,
        "structured_output": sold.structured_output,
        "logprobs": sold.logprobs,
        "temperature": sold.temperature,
        "reasoning": sold.reasoning,
        "sources": {
            fact: {"url": sources()[key]["url"], "read": sources()[key]["read"].isoformat()}
            for fact, key in sold.sources.items()
        },
    }


def _lifecycle(sold: Sold, today: date) -> str:
    if sold.retired(today):
        return "retired"
    if sold.retires is not None and sold.retires - today <= SOON:
        return "retires soon"
    return "sold" if sold.retires is None else "retires"


def _missing(provider: str) -> str | None:
    if provider not in providers.known_providers():
        return f"this version has no provider {provider}"
    return providers.configured(provider)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
