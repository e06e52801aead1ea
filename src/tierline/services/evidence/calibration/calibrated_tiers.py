"""The tiers of a feature that calibrations and label samples are about."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict
from tierline.features import Feature, Tier
from tierline.routing.confidence_gate import is_compared
from tierline.services.features.find_feature import current_version


def compared_tier(
    connection: Connection[Any], name: str, tier_name: str | None
) -> tuple[Feature, Tier]:
    """The current version of a feature, and the tier of that name that outcomes are about; None:
    its first calibrated tier, or its first tier if none is calibrated. Raises NotFound, Conflict.
    """
    feature = current_version(connection, name).read()
    tiers = calibrated_tiers(feature) or feature.allowed_tiers()[:1]
    if tier_name is None:
        return feature, tiers[0]
    for tier in tiers:
        if tier.name == tier_name:
            return feature, tier
    names = ", ".join(tier.name for tier in tiers)
    raise Conflict(f"{name} has outcomes only of these tiers: {names}; give one of them")


def refuse_unrecorded(feature: Feature, tier: Tier) -> None:
    """Raises Conflict if the tier's answers are not recorded as outcomes, so that no model's answer
    can be their reference.
    """
    if not is_compared(feature, tier):
        raise Conflict(
            f"the answers of the tier {tier.name} of {feature.name} are not recorded as outcomes: "
            "give the feature the key 'shadow: {share: 0.02}', which compares a share of them with "
            "the last tier's, or 'confidence: {signal: …, threshold: calibrated}', which compares "
            "all of them. Or let people label a sample ('tierline feedback sample "
            f"{feature.name}') and give '--reference human'"
        )


def calibrated_tiers(feature: Feature) -> list[Tier]:
    """In order."""
    return [
        tier
        for tier in feature.allowed_tiers()
        if (confidence := feature.confidence_of(tier)) is not None and confidence.calibrated
    ]


def share_of_risk(feature: Feature, confidence: float) -> float:
    """The confidence at which each calibrated tier is tested, so that all together reach
    `confidence`.
    """
    return 1.0 - (1.0 - confidence) / max(1, len(calibrated_tiers(feature)))
