"""The models that a feature file can name: the catalogue's models and those that features use.

Each has its price and whether it can be called here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from psycopg import Connection

from tierline import providers
from tierline.base.json_text import JSON
from tierline.catalogue import Family, Sold, families, find, replacement
from tierline.catalogue.families import sources
from tierline.features import ModelRef, Price
from tierline.pricing import OwnPrices, PricedCall, price_of
from tierline.services.features.model_objections import SOON, region
from tierline.services.features.provider_keys import ProviderKeys, read_keys
from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.features import features
from tierline.storage.money import prices
from tierline.views.features.models import Model


@dataclass
class _Use:
    """A model that applied features name."""

    features: list[str] = field(default_factory=list)
    override: dict[str, Price] = field(default_factory=dict)  # the first feature's own prices


@dataclass(frozen=True)
class _Installation:
    """What an entry needs besides the model."""

    now: datetime
    own: OwnPrices
    keys: ProviderKeys
    circuits: Mapping[str, Circuit]  # the open ones, by model


def list_models(connection: Connection[Any]) -> list[Model]:
    """Models in use first, by name; then the catalogue's, by class and family.

    A family that nobody sells under its name is listed too: `model` is null, and its nearest is
    given.
    """
    used = _used(connection)
    installation = _Installation(
        now=datetime.now(UTC),
        own=prices.own_prices(connection),
        keys=read_keys(connection),
        circuits={one.model: one for one in circuits.every(connection) if one.open},
    )
    models = []
    for name in sorted(used):
        ref = ModelRef.parse(name)
        listed = find(ref.provider, ref.model)
        family, sold = (None, None) if listed is None else listed
        models.append(_model(ref, family, sold, used[name], installation))
    return models + list(_catalogue(used, installation))


def _used(connection: Connection[Any]) -> dict[str, _Use]:
    uses: dict[str, _Use] = {}
    for feature in features.readable(features.current_versions(connection)):
        for tier in feature.allowed_tiers():
            for model in tier.models:
                use = uses.setdefault(str(model), _Use(override=dict(tier.prices)))
                if feature.name not in use.features:
                    use.features.append(feature.name)
    return uses


def _catalogue(used: dict[str, _Use], installation: _Installation) -> Iterator[Model]:
    for family in families():
        for sold in family.sold:
            ref = ModelRef(sold.provider, sold.id)
            if str(ref) not in used:
                yield _model(ref, family, sold, _Use(), installation)
        if not family.sold:
            yield _model(None, family, None, _Use(), installation)


def _model(
    ref: ModelRef | None,
    family: Family | None,
    sold: Sold | None,
    use: _Use,
    installation: _Installation,
) -> Model:
    missing = None if ref is None else _missing(ref.provider, installation.keys)
    price = (
        None
        if ref is None
        else price_of(ref, PricedCall(installation.now), use.override, installation.own)
    )
    circuit = None if ref is None else installation.circuits.get(str(ref))
    open_because = None if circuit is None else circuit.reason
    today = installation.now.date()
    return Model(
        model=None if ref is None else str(ref),
        family=None if family is None else family.name,
        model_class=None if family is None else family.model_class,
        features=use.features,
        configured=None if ref is None else missing is None,
        missing=missing,
        region=None if ref is None else region(ref.provider),
        price=None if price is None else price.to_dict(),
        id=None if sold is None else sold.id,
        aliases=[] if sold is None else list(sold.aliases),
        lifecycle=None if sold is None else _lifecycle(sold, today),
        released=None if sold is None else sold.released,
        retires=None if sold is None else sold.retires,
        not_before=None if sold is None else sold.not_before,
        successor=None if sold is None else replacement(sold.ref, today),
        context_tokens=None if sold is None else sold.context_tokens,
        output_tokens=None if sold is None else sold.output_tokens,
        structured_output=None if sold is None else sold.structured_output,
        logprobs=None if sold is None else sold.logprobs,
        temperature=None if sold is None else sold.temperature,
        reasoning=None if sold is None else sold.reasoning,
        sources={} if sold is None else _sources(sold),
        self_hosted={} if family is None else dict(family.self_hosted),
        nearest=None if family is None else family.nearest,
        circuit_open=open_because,
        left_alone=open_because,  # its name in version 0.1
        note=None if family is None else family.note,
    )


def _sources(sold: Sold) -> dict[str, JSON]:
    """By fact: where it is from, and the day it was read."""
    return {
        fact: {"url": sources()[key]["url"], "read": sources()[key]["read"].isoformat()}
        for fact, key in sold.sources.items()
    }


def _lifecycle(sold: Sold, today: date) -> str:
    if sold.retired(today):
        return "retired"
    if sold.retires is not None and sold.retires - today <= SOON:
        return "retires soon"
    return "sold" if sold.retires is None else "retires"


def _missing(provider: str, keys: ProviderKeys) -> str | None:
    if provider not in providers.known_providers():
        return f"this version has no provider {provider}"
    return keys.missing(provider)
