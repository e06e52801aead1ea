"""The JSON of features, drafts and models."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from tierline import features
from tierline.views.view import AnyObject, Page, TextId, Time, View


class FeatureTier(View):
    """A tier of a feature and the models that it asks, in order."""

    name: str
    models: list[str]


class _Summary(View):
    name: str
    description: str
    routing: str
    tiers: list[FeatureTier]
    applied_at: Time | None


class Feature(_Summary):
    """A version of a feature."""

    version: int


class FeatureList(Page[Feature]):
    """The applied features."""


class AppliedFeature(_Summary):
    """The result of applying a feature file, or of a dry run."""

    version: int | None = Field(description="null: a dry run of a new feature")
    changed: bool = Field(description="false: it is already the current version")
    dry_run: bool
    warnings: list[str]


class Draft(_Summary):
    """A feature file that is stored to be tried."""

    id: TextId
    version: int = Field(description="below 0: a draft's", le=-1)
    warnings: list[str]


class FeatureVersion(Feature):
    """A version of a feature, with its file."""

    source: str = Field(description="the file as it was applied")
    document: AnyObject
    fingerprint: str
    prices: AnyObject = Field(
        description="by tier and provider:model: the price now; null: unknown"
    )


def summary(feature: features.Feature, applied_at: datetime | None) -> dict[str, Any]:
    """The fields that every answer about a feature has."""
    return {
        "name": feature.name,
        "description": feature.description,
        "routing": feature.routing,
        "tiers": [
            {"name": tier.name, "models": [str(model) for model in tier.models]}
            for tier in feature.tiers
        ],
        "applied_at": applied_at,
    }


class Model(View):
    """A model that a feature can name: its facts and its state."""

    model: str | None = Field(description="provider:model; null: nobody sells it")
    family: str | None = Field(description="null: not in the catalogue")
    model_class: str | None = Field(
        serialization_alias="class", description="micro, small, mid or frontier"
    )
    features: list[str]
    configured: bool | None
    missing: str | None = Field(description="what must be set first")
    region: str | None = Field(description="where it runs; null: anywhere")
    price: AnyObject | None = Field(description="USD per million tokens; null: unpriced")
    id: str | None = Field(description="the exact id behind an alias")
    aliases: list[str]
    lifecycle: str | None = Field(description="sold, retires, retires soon or retired")
    released: date | None
    retires: date | None
    not_before: date | None
    successor: str | None = Field(description="the model that replaces it")
    context_tokens: int | None
    output_tokens: int | None
    structured_output: bool | None = Field(description="null: unknown")
    logprobs: bool | None
    temperature: bool | None
    reasoning: bool | None
    sources: AnyObject = Field(description="by fact: url, and the day it was read")
    self_hosted: AnyObject = Field(description="by server: the id there")
    nearest: str | None = Field(description="the closest model that is sold")
    circuit_open: str | None = Field(description="why its circuit is open; null: it is closed")
    left_alone: str | None = Field(
        deprecated=True, description="circuit_open as version 0.1 named it"
    )
    note: str | None


class Models(View):
    """Models: those in use first, then the catalogue."""

    data: list[Model]
