"""The JSON of features and drafts."""

from datetime import datetime
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
