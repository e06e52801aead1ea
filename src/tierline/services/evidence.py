"""What an evaluation is bound to, and whether it still says something about its feature."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tierline.features import Feature
from tierline.routing.fingerprint import recipe, task


def recipe_alone(feature: Feature, tier: str) -> str:
    """What makes a tier's answers, whatever its threshold: what an evaluation of it is bound to."""
    alone = feature.only(tier, sure=False)
    return recipe(alone, alone.tiers[0])


def why_not_valid(feature: Feature, row: Mapping[str, Any], now: datetime) -> str | None:
    """Why a completed evaluation says nothing about the feature as it is now; None: it does."""
    known = {tier.name for tier in feature.tiers}
    for planned in row["plan"]["tiers"]:
        tier = planned["tier"]
        if tier not in known or recipe_alone(feature, tier) != planned["recipe"]:
            return f"what makes the answers of {tier} was changed since"
    if row["task"] != task(feature):
        return "the feature's task was changed since"
    if now - row["ended_at"] > timedelta(days=feature.refresh_days):
        return f"it is older than {feature.refresh_days} days"
    return None
