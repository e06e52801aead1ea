"""Applying a feature file: from its text to the version that new jobs get.

If only something around the file is missing (a key, a price), that is a warning: it can change any
day, and the file itself is valid.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from tierline import providers
from tierline.base.errors import FeatureError, Problem
from tierline.base.json_pointer import pointer
from tierline.base.settings import settings
from tierline.base.yaml_lines import Path, read_yaml
from tierline.features import Feature, Retention
from tierline.features.edit import SOURCE
from tierline.features.parse import parse_with_warnings
from tierline.features.stored import UnreadableFeature
from tierline.pricing import OwnPrices, PricedCall, price_of
from tierline.pricing.unlisted import unlisted_models
from tierline.services.features.model_objections import objections
from tierline.services.features.provider_keys import ProviderKeys, read_keys
from tierline.services.features.resolve_class import ResolvedClass, resolve_classes
from tierline.storage.features import features
from tierline.storage.features.features import StoredVersion
from tierline.storage.money import prices

MOST_REASONS = 8  # reasons shown per class: enough to act on


@dataclass(frozen=True)
class Applied:
    """The result for a feature file. `version` is None after a dry run of a new feature."""

    feature: Feature
    version: StoredVersion | None
    changed: bool  # false: the same document is already the current version
    warnings: tuple[str, ...]


def apply_feature(connection: Connection[Any], text: str, *, dry_run: bool = False) -> Applied:
    """Make the file's feature the version that new jobs get. Raises FeatureError with lines.

    Existing jobs keep the version that they began with.
    """
    feature, file_warnings = read_usable(connection, text)
    present = features.stored_version(connection, feature.name)
    before = None
    if present is not None:
        with suppress(UnreadableFeature):  # written by a later release, before a rollback
            before = present.read()
    warnings = (*file_warnings, *kept_shorter(before, feature))
    if dry_run:
        same = present is not None and present.fingerprint == feature.fingerprint()
        return Applied(feature, present if same else None, not same, warnings)
    with connection.transaction():
        version, changed = features.add_version(connection, feature, text)
    return Applied(feature, version, changed, warnings)


def read_usable(connection: Connection[Any], text: str) -> tuple[Feature, list[str]]:
    """The file's feature with its models resolved, and warnings about running it.

    Raises FeatureError with lines.
    """
    feature, doubtful = parse_with_warnings(
        text, SOURCE, providers.known_providers(), settings().checks
    )
    now = datetime.now(UTC)
    own = prices.own_prices(connection)
    keys = read_keys(connection)
    feature, chosen = resolve_classes(feature, own, now, keys)
    model_warnings = refuse_unfit(feature, chosen, text, now, own)
    return feature, [
        *(f"line {one.line}: {one.message}" for one in doubtful),
        *(_class_note(one) for one in chosen),
        *model_warnings,
        *missing_around(feature, keys),
        *unpriced(feature, own),
    ]


def refuse_unfit(
    feature: Feature,
    chosen: Sequence[ResolvedClass],
    text: str,
    now: datetime,
    own: OwnPrices,
) -> list[str]:
    """Warnings about the feature's models, a line each.

    Raises FeatureError, with lines of the file, for a class without a usable model and for models
    that cannot do what the feature asks.
    """
    document = read_yaml(text, SOURCE)
    refused: list[Problem] = []
    warnings: list[str] = []

    def refuse(path: Path, message: str) -> None:
        refused.append(Problem(message, pointer(path), document.line(path), SOURCE))

    for one in chosen:
        if one.model is None:
            why = "; ".join(one.why_not[:MOST_REASONS]) or "the catalogue has none"
            refuse(one.path, f"no model of the class {one.model_class} can be used here: {why}")
    for number, tier in enumerate(feature.tiers):
        for place, model in enumerate(tier.models):
            if model.requested_class is not None:
                continue
            for objection in objections(feature, tier, model, now.date()):
                if objection.refused:
                    refuse(("tiers", number, "models", place), objection.message)
                else:
                    warnings.append(f"tier {tier.name}: {objection.message}")
    if refused:
        raise FeatureError(refused)
    warnings += [
        f"line {line}: {warning}" for line, warning in unlisted_models(feature, document, own)
    ]
    return warnings


def _class_note(one: ResolvedClass) -> str:
    assert one.price is not None, "a class without a usable model is refused"
    paid, made = one.price.input_usd_per_mtok, one.price.output_usd_per_mtok
    return (
        f"class:{one.model_class} is {one.model} in this version, at ${paid} in and ${made} out "
        "per million tokens"
    )


def missing_around(feature: Feature, keys: ProviderKeys) -> list[str]:
    """What the feature's models need and the workers do not have, a line each."""
    lines = []
    for tier in feature.allowed_tiers():
        for model in tier.models:
            missing = keys.missing(model.provider)
            if missing:
                lines.append(f"tier {tier.name}: {model}: {missing}")
    return lines


def unpriced(feature: Feature, own: OwnPrices) -> list[str]:
    """The feature's models with an unknown price, a line each."""
    now = datetime.now(UTC)
    return [
        f"tier {tier.name}: {model}: its price is unknown, and so is the cost of its calls; "
        "set a price with 'tierline prices set', or under the tier's prices"
        for tier in feature.allowed_tiers()
        for model in tier.models
        if price_of(model, PricedCall(now, tier.service_tier), tier.prices, own) is None
    ]


def kept_shorter(before: Feature | None, feature: Feature) -> list[str]:
    """What a new version's retention removes that the previous version kept, a line each."""
    if before is None or feature.retention is None:
        return []
    kept = before.retention or Retention()
    times = (
        ("inputs", kept.inputs_days, feature.retention.inputs_days),
        ("outputs", kept.outputs_days, feature.retention.outputs_days),
    )
    return [
        f"retention: {what} of jobs that ended more than {days:g} days ago, of every version of "
        "this feature, are removed from now on"
        for what, earlier, days in times
        if days is not None and (earlier is None or days < earlier)
    ]
