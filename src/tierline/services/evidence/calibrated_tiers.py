"""The tiers of a feature that serve only what a calibration allows."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.features import Feature, Tier
from tierline.services.features.find_feature import current_version


def calibrated_tier(
    connection: Connection[Any], name: str, wanted: str | None
) -> tuple[Feature, Tier]:
    """The current version of a feature, and its calibrated tier of that name; None: the first one.
    Raises NotFound, InvalidInput, and Conflict if the feature has no calibrated tier.
    """
    version = current_version(connection, name)
    feature = version.read()
    tiers = calibrated_tiers(feature)
    if not tiers:
        raise Conflict(
            f"version {version.version} of {name} has no calibrated confidence: give it "
            "'confidence: {signal: …, threshold: calibrated}' and apply it; its jobs then escalate "
            "and are recorded as outcomes to calibrate on"
        )
    if wanted is None:
        return feature, tiers[0]
    for tier in tiers:
        if tier.name == wanted:
            return feature, tier
    known = ", ".join(tier.name for tier in tiers)
    raise InvalidInput(
        [Problem(f"is not a calibrated tier of {name}; those are: {known}", "/tier")]
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
    return 1.0 - (1.0 - confidence) / len(calibrated_tiers(feature))
