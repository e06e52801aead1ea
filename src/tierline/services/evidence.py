"""What an evaluation is bound to, and whether it still says something about its feature."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from tierline.errors import Conflict, NotFound
from tierline.features import Feature
from tierline.routing.fingerprint import recipe, task
from tierline.storage import evaluations

MOST_UNANSWERED = 0.02  # of the examples: a provider that failed says nothing of its model


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
        if [str(model) for model in feature.tier(tier).models] != planned["models"]:
            return f"the models of {tier} were changed since"
    if row["task"] != task(feature):
        return "the feature's task was changed since"
    if now - row["ended_at"] > timedelta(days=feature.refresh_days):
        return f"it is older than {feature.refresh_days} days"
    return None


@dataclass(frozen=True)
class Evidence:
    """What an evaluation says of a feature's first tier beside its last."""

    evaluation: Mapping[str, Any]
    compared: Mapping[str, Any]
    small: Mapping[str, Any]  # how the first tier did
    large: Mapping[str, Any]


def newest_evidence(
    connection: Connection[Any], feature: Feature, id: int | None = None
) -> Evidence:
    """Of the newest completed evaluation that says something about the feature as it is now, or of
    that one. Raises NotFound where there is none of that id, Conflict for what says nothing.
    """
    first, last = feature.tiers[0].name, feature.tiers[-1].name
    if id is not None:
        row = evaluations.evaluation(connection, feature.name, id)
        if row is None:
            raise NotFound(f"the feature {feature.name!r} has no evaluation {id}")
        rows = [row]
    else:
        rows = evaluations.list_evaluations(connection, feature.name)
    why = "there is none"
    now = datetime.now(UTC)
    for row in rows:
        told = _evidence_of(feature, row, first, last, now)
        if isinstance(told, Evidence):
            return told
        if why == "there is none":
            why = f"evaluation {row['id']}: {told}"
    raise Conflict(
        f"no evaluation says how {first} of {feature.name} does beside {last} ({why}): make one by "
        f"'tierline eval {feature.name}'"
    )


def _evidence_of(
    feature: Feature, row: Mapping[str, Any], first: str, last: str, now: datetime
) -> Evidence | str:
    """It, or why it says nothing."""
    found = row["document"]
    if found is None:
        return f"it is {row['status']}"
    stale = why_not_valid(feature, row, now)
    if stale is not None:
        return stale
    tiers = {one["tier"]: one for one in found["tiers"]}
    compared = next(
        (one for one in found["compared"] if (one["tier"], one["with"]) == (first, last)), None
    )
    if compared is None:
        return f"it does not compare {first} with {last}"
    for name in (first, last):
        unanswered = tiers[name]["unanswered"]
        if unanswered > MOST_UNANSWERED * found["examples"]:
            return f"{name} left {unanswered} of {found['examples']} examples unanswered"
    return Evidence(row, compared, tiers[first], tiers[last])
