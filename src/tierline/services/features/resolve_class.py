"""Replacing `class:small` by an exact model, once, when a feature is applied."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tierline import providers
from tierline.base.network.model_urls import ANY, local_urls
from tierline.base.settings import settings
from tierline.base.yaml_lines import Path
from tierline.catalogue import families
from tierline.catalogue.families import Sold
from tierline.features import Feature, ModelRef, Tier
from tierline.pricing import OwnPrices, Price, PricedCall, price_of
from tierline.services.features.model_objections import SOON, allowed, objections
from tierline.services.features.provider_keys import NO_WORKER, ProviderKeys

INPUT_SHARE = 3  # parts of input per part of output, as in typical narrow tasks


@dataclass(frozen=True)
class ResolvedClass:
    """The model chosen for a class, or, if `model` is None, why there is none."""

    path: Path
    model_class: str
    model: ModelRef | None
    price: Price | None
    why_not: tuple[str, ...]  # the reason against each candidate, a line each


def resolve_classes(
    feature: Feature, own: OwnPrices, now: datetime, keys: ProviderKeys = NO_WORKER
) -> tuple[Feature, list[ResolvedClass]]:
    """The feature with an exact model for every class that it names, and the choices.

    `keys`: the providers that can be called; without workers, those of this process.
    """
    chosen: list[ResolvedClass] = []
    tiers = []
    for number, tier in enumerate(feature.tiers):
        models = [model for model in tier.models if model.requested_class is None]
        named: list[ModelRef] = []
        for place, model in enumerate(tier.models):
            if model.requested_class is None:
                named.append(model)
                continue
            resolved = _choose(
                feature, tier, model.requested_class, own, now, keys, taken=[*models, *named]
            )
            chosen.append(replace(resolved, path=("tiers", number, "models", place)))
            named.append(resolved.model or model)
        tiers.append(replace(tier, models=tuple(named)))
    return replace(feature, tiers=tuple(tiers)), chosen


def _choose(
    feature: Feature,
    tier: Tier,
    model_class: str,
    own: OwnPrices,
    now: datetime,
    keys: ProviderKeys,
    *,
    taken: list[ModelRef],
) -> ResolvedClass:
    why_not: dict[str, None] = {}
    able: list[tuple[Decimal, int, str, ModelRef, Price]] = []
    for sold in _of_class(model_class):
        model = ModelRef(sold.provider, sold.id)
        if model in taken:
            continue
        price = price_of(model, PricedCall(now, tier.service_tier), None, own)
        reason = _why_not(feature, tier, sold, model, now, keys)
        if reason is None and price is None:
            reason = f"{model}: its price is unknown"
        if reason is not None or price is None:
            why_not[reason or ""] = None
            continue
        newest = 0 if sold.released is None else -sold.released.toordinal()
        able.append((_weighed(price), newest, str(model), model, price))
    if not able:
        return ResolvedClass((), model_class, None, None, tuple(why_not))
    *_, model, price = min(able, key=lambda one: one[:3])
    return ResolvedClass((), model_class, model, price, tuple(why_not))


def _of_class(model_class: str) -> Iterator[Sold]:
    for family in families():
        if family.model_class == model_class:
            yield from family.sold


def _why_not(
    feature: Feature, tier: Tier, sold: Sold, model: ModelRef, now: datetime, keys: ProviderKeys
) -> str | None:
    if model.provider not in providers.known_providers():
        return f"{model.provider} is not a provider of this version"
    if not allowed(feature, model.provider):
        return f"{model.provider} runs outside {', '.join(feature.residency)}"
    missing = keys.missing(model.provider)
    if missing is not None:
        return f"{model.provider}: {missing}"
    if model.provider == "local":
        served = local_urls(settings().local_url)
        if model.model not in served and ANY not in served:
            return f"{model} is not served here"
    today = now.date()
    if sold.retires is not None and sold.retires - today <= SOON:
        return f"{model} retires on {sold.retires}"
    if sold.successor is not None:
        return f"{model} is superseded by {sold.successor}"
    if not feature.plain_text and sold.structured_output is not True:
        return f"{model} is not known to enforce a JSON Schema"
    refused = [one for one in objections(feature, tier, model, today) if one.refused]
    return refused[0].message if refused else None


def _weighed(price: Price) -> Decimal:
    return INPUT_SHARE * price.input_usd_per_mtok + price.output_usd_per_mtok
