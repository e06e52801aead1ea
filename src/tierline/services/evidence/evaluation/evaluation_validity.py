"""Decides whether an evaluation is still valid for its feature."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.features import Feature
from tierline.routing.thresholds.fingerprint import recipe, task
from tierline.storage.evidence import drift, evaluations, promotions
from tierline.views.evidence.evaluations import EvaluationRow

# the largest share of unanswered examples: a failed provider says nothing about its model
MOST_UNANSWERED = 0.02


def recipe_alone(feature: Feature, tier: str) -> str:
    """The recipe of a tier without its confidence threshold. An evaluation is valid for this recipe
    only.
    """
    alone = feature.only(tier, sure=False)
    return recipe(alone, alone.tiers[0])


def why_not_valid(feature: Feature, row: EvaluationRow, now: datetime) -> str | None:
    """Why a completed evaluation is not valid for the feature as it is now. None: it is valid."""
    tier_names = {tier.name for tier in feature.tiers}
    for planned in row["plan"]["tiers"]:
        tier = planned["tier"]
        if tier not in tier_names or recipe_alone(feature, tier) != planned["recipe"]:
            return f"the prompt or settings of {tier} were changed since"
        if [str(model) for model in feature.tier(tier).models] != planned["models"]:
            return f"the models of {tier} were changed since"
    if row["task"] != task(feature):
        return "the feature's task was changed since"
    if feature.needs_refresh(_ended_at(row), now):
        return f"it is older than {feature.refresh_days} days"
    return None


def _ended_at(row: EvaluationRow) -> datetime:
    ended_at = row["ended_at"]
    assert ended_at is not None, "a completed evaluation has ended"
    return ended_at


class NoValidEvaluation(Conflict):
    """The first tier has no valid evaluation. `why` says why the newest one is not valid; None:
    there is no evaluation.
    """

    def __init__(self, message: str, why: str | None) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True)
class ValidEvaluation:
    """An evaluation's results for the feature's first tier compared with its last."""

    evaluation: EvaluationRow
    compared: Mapping[str, Any]
    small: Mapping[str, Any]  # the first tier's results
    large: Mapping[str, Any]  # the last tier's results


def newest_valid_evaluation(
    connection: Connection[Any], feature: Feature, id: int | None = None
) -> ValidEvaluation:
    """The newest completed evaluation that is valid for the feature as it is now; with `id`, that
    evaluation. Raises NotFound if there is no evaluation `id`, and NoValidEvaluation if none is
    valid.
    """
    first, last = feature.tiers[0].name, feature.tiers[-1].name
    if id is not None:
        row = evaluations.evaluation(connection, feature.name, id)
        if row is None:
            raise NotFound(f"the feature {feature.name!r} has no evaluation {id}")
        rows = [row]
    else:
        rows = evaluations.list_evaluations(connection, feature.name)
    why = None
    for row in rows:
        stale = _why_not_compared(row, first, last) or stale_now(connection, feature, row)
        if stale is None:
            return _evidence_of(row, first, last)
        why = why or f"evaluation {row['id']}: {stale}"
    raise NoValidEvaluation(
        f"no valid evaluation compares {first} of {feature.name} with {last} "
        f"({why or 'there is none'}): run 'tierline eval {feature.name}'",
        why,
    )


def stale_now(connection: Connection[Any], feature: Feature, row: EvaluationRow) -> str | None:
    """Why a completed evaluation is not valid for the feature and its traffic as they are now.
    None: it is valid.
    """
    why = why_not_valid(feature, row, datetime.now(UTC))
    if why is not None:
        return why
    alarm = drift.last_alarm(connection, feature.name)
    if alarm is not None and alarm > row["dataset_at"]:
        return "the traffic has changed since its dataset was built"
    refuted = promotions.refuted_since(connection, feature.name, _ended_at(row))
    return None if refuted is None else f"it was refuted since: {refuted}"


def _why_not_compared(row: EvaluationRow, first: str, last: str) -> str | None:
    """Why the evaluation itself does not compare the two tiers. None: it does."""
    document = row["document"]
    if document is None:
        return f"it is {row['status']}"
    if not any((one["tier"], one["with"]) == (first, last) for one in document["compared"]):
        return f"it does not compare {first} with {last}"
    for one in document["tiers"]:
        if one["unanswered"] > MOST_UNANSWERED * document["examples"]:
            return (
                f"{one['tier']} left {one['unanswered']} of {document['examples']} examples"
                " unanswered"
            )
    return None


def _evidence_of(row: EvaluationRow, first: str, last: str) -> ValidEvaluation:
    document = row["document"]
    tiers = {one["tier"]: one for one in document["tiers"]}
    compared = next(
        one for one in document["compared"] if (one["tier"], one["with"]) == (first, last)
    )
    return ValidEvaluation(row, compared, tiers[first], tiers[last])
