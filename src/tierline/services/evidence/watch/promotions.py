"""Promoting a feature's first tier on the evidence of an evaluation, and demoting it.

The new routing is written into the feature's file as a new version. A promoted feature is watched.
It is demoted if the live answers refute the evaluation, if a model answers that was not evaluated,
or if the traffic has changed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import Conflict, InvalidInput, Problem, TierlineError
from tierline.evaluation.promotion_watch import FEWEST, is_broken, most_differing
from tierline.evaluation.summary import low_of
from tierline.features import Feature
from tierline.features.edit import edited
from tierline.routing.promotion import Changes, demoted, promoted
from tierline.services.evidence.evaluation.evaluation_validity import (
    ValidEvaluation,
    newest_valid_evaluation,
    recipe_alone,
)
from tierline.services.features.apply_feature import read_usable
from tierline.services.features.find_feature import current_feature, current_version
from tierline.services.steering.recipes import recipe_of
from tierline.services.webhooks.announce import announce_feature
from tierline.storage.evidence import evaluations, promotions
from tierline.storage.evidence.drift import operators
from tierline.storage.features import features
from tierline.storage.features.features import StoredVersion
from tierline.views.evidence.evaluations import (
    Demotion,
    MadePromotion,
    Promotion,
    PromotionRow,
    promotion_view,
)
from tierline.webhooks.events import DEMOTED, demoted_body

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PromotionRequest:
    """How a feature's first tier is to be promoted."""

    share: float = 1.0  # share of the jobs, above 0; below 1 it is a canary
    evaluation: int | None = None  # None: the newest valid one
    keep_confidence: bool = False  # keep the confidence gate even if the verdict is `default`
    dry_run: bool = False
    of_version: int | None = None  # the version that a person looked at; None: any


def promote(connection: Connection[Any], name: str, request: PromotionRequest) -> MadePromotion:
    """Let the first tier answer as far as the evidence allows. With `dry_run`, only return what
    would change. Raises NotFound; InvalidInput for a share outside (0, 1]; Conflict if there is no
    evidence, if it is not sufficient, if a canary may not grow yet, or if the feature has another
    version than `of_version`.
    """
    if not 0.0001 <= request.share <= 1.0:
        raise InvalidInput([Problem("must be above 0 and at most 1", "/share")])
    with connection.transaction():
        features.hold_applications(connection)
        version = current_version(connection, name)
        if request.of_version not in (None, version.version):
            raise Conflict(
                f"{name} has version {version.version} now, not {request.of_version}: look again"
                " at what a promotion would change"
            )
        feature = version.read()
        _refuse_single(feature)
        valid = newest_valid_evaluation(connection, feature, request.evaluation)
        _refuse_unproven(feature, valid)
        before = promotions.in_force(connection, name)
        _refuse_unwatched(connection, feature, request.share, before)
        rung = valid.compared["verdict"]
        escalates = rung != "default" or request.keep_confidence
        changes = promoted(feature, share=request.share, on_low_confidence=escalates)
        after, text = _edited(connection, version, feature, changes)
        fields = {
            "feature": name,
            "tier": feature.tiers[0].name,
            "rung": rung,
            "reason": valid.compared["reason"],
            "evaluation": valid.evaluation["id"],
            "share": request.share,
            "changes": [
                {"key": ".".join(str(part) for part in path), "value": value}
                for path, value in changes.items()
            ],
            "source": text,
            "watched": feature.shadow is not None,
            "only_checks_escalate": _only_checks(after),
        }
        if request.dry_run:
            return MadePromotion.exactly({**fields, "feature_version": None, "promotion": None})
        made, _ = features.add_version(connection, after, text)
        most = most_differing(
            valid.compared["differ_at_most"],
            low_of(valid.compared),
            valid.large["quality"],
            "ship" if escalates else "default",
        )
        if before is not None:
            promotions.end_promotion(connection, before["id"], "another promotion followed")
        kept = promotions.add_promotion(
            connection,
            feature=name,
            tier=feature.tiers[0].name,
            evaluation_id=valid.evaluation["id"],
            rung="ship" if escalates else "default",
            share=request.share,
            version=made.version,
            most_differing=most,
        )
    return MadePromotion.exactly(
        {
            **fields,
            "feature_version": made.version,
            "promotion": _shown(connection, after, kept),
        }
    )


def demote(connection: Connection[Any], name: str, reason: str) -> Demotion:
    """Let the last tier answer all jobs again. Raises NotFound, and Conflict if it already does."""
    with connection.transaction():
        version = _demote(connection, name, reason)
    if version is None:
        raise Conflict(f"jobs of {name} begin on its last tier already")
    return Demotion(feature=name, feature_version=version.version, reason=reason)


def demote_promoted(connection: Connection[Any], name: str, reason: str) -> bool:
    """Demote a feature whose promotion is in force, because its evaluation no longer holds. Runs in
    the caller's transaction. Returns whether the feature was demoted.
    """
    if promotions.in_force(connection, name) is None:
        return False
    return _demote(connection, name, reason, refuted=True) is not None


def promotions_of(connection: Connection[Any], name: str) -> list[Promotion]:
    """The feature's promotions, newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    rows = promotions.list_promotions(connection, name)
    return [_shown(connection, feature, row) for row in rows]


def watch(pool: ConnectionPool[Any]) -> int:
    """Check every promotion in force, and end those that no longer hold. Returns how many it ended.
    Safe to run in several processes at once.
    """
    ended = 0
    with pool.connection() as connection:
        for row in promotions.all_in_force(connection):
            try:
                ended += _watch(connection, row)
            except TierlineError as error:
                log.warning("promotion_not_watched", feature=row["feature"], reason=error.message)
    return ended


def _watch(connection: Connection[Any], row: PromotionRow) -> bool:
    feature = current_feature(connection, row["feature"])
    by_hand = _changed_by_hand(connection, feature, row)
    if by_hand is not None:
        with connection.transaction():
            return promotions.end_promotion(connection, row["id"], by_hand) is not None
    reason = _strange_model(connection, feature, row) or _refuted(connection, feature, row)
    if reason is None:
        return False
    with connection.transaction():
        return demote_promoted(connection, feature.name, reason)


def _changed_by_hand(
    connection: Connection[Any], feature: Feature, row: PromotionRow
) -> str | None:
    """Why a later version no longer matches the promotion, or None if it does."""
    if len(feature.tiers) < 2 or feature.tiers[0].name != row["tier"]:
        return f"the feature's first tier is {feature.tiers[0].name} now"
    share = 1.0 if feature.routing == "slm_first" else 0.0
    if feature.canary is not None and feature.canary.tier == row["tier"]:
        share = feature.canary.share
    if share != row["share"]:
        return "the feature's routing was changed by hand"
    kept = evaluations.evaluation(connection, feature.name, row["evaluation_id"])
    if kept is None:
        return None
    for planned in kept["plan"]["tiers"]:
        if planned["tier"] == row["tier"] and planned["recipe"] != recipe_alone(
            feature, row["tier"]
        ):
            return f"the prompt or settings of {row['tier']} were changed by hand"
    return None


def _strange_model(connection: Connection[Any], feature: Feature, row: PromotionRow) -> str | None:
    """A message if a model answers for the tier's first one that was not evaluated, or None."""
    kept = evaluations.evaluation(connection, feature.name, row["evaluation_id"])
    if kept is None or kept["document"] is None:
        return None
    evaluated = {
        model
        for one in kept["document"]["tiers"]
        if one["tier"] == row["tier"]
        for model in one["models"]
    }
    model = str(feature.tier(row["tier"]).models[0])
    now = promotions.answered_by(connection, feature.name, row["version"], model, row["created_at"])
    strange = sorted(now - evaluated)
    if not strange or not evaluated:
        return None
    return (
        f"calls to {model} are answered by {strange[0]}, which was not evaluated; "
        f"evaluated: {', '.join(sorted(evaluated))}"
    )


def _refuted(connection: Connection[Any], feature: Feature, row: PromotionRow) -> str | None:
    samples, differ = _compared(connection, feature, row)
    if not is_broken(differ, samples, row["most_differing"]):
        return None
    return (
        f"{differ} of {samples} answers differ from the last tier's; evaluation "
        f"{row['evaluation_id']} allows {row['most_differing']:.1%}"
    )


def _compared(connection: Connection[Any], feature: Feature, row: PromotionRow) -> tuple[int, int]:
    recipe = recipe_of(connection, feature, feature.tiers[0])
    return promotions.compared_since(connection, feature.name, recipe, row["created_at"])


def _demote(
    connection: Connection[Any], name: str, reason: str, *, refuted: bool = False
) -> StoredVersion | None:
    """Apply the demoted version and notify its users. None if jobs already begin on the last tier.
    Runs in the caller's transaction.
    """
    features.hold_applications(connection)
    version = current_version(connection, name)
    feature = version.read()
    _refuse_single(feature)
    if feature.first_tier() is feature.tiers[-1] and feature.canary is None:
        return None
    after, text = _edited(connection, version, feature, demoted())
    made, _ = features.add_version(connection, after, text)
    row = promotions.in_force(connection, name)
    if row is not None:
        promotions.end_promotion(connection, row["id"], reason, made.version, refuted=refuted)
    accounts = promotions.users(connection, name) | operators(connection)
    tier = feature.tiers[0].name
    body = demoted_body(datetime.now(UTC), name, tier, made.version, reason)
    announce_feature(connection, DEMOTED, sorted(accounts), body)
    log.warning("feature_demoted", feature=name, tier=tier, reason=reason)
    return made


def _edited(
    connection: Connection[Any], version: StoredVersion, feature: Feature, changes: Changes
) -> tuple[Feature, str]:
    """The feature with these changes in its file, and the text of that file. Raises Conflict if the
    file names a model by class and the class now means a different model.
    """
    text = edited(version.source, changes)
    after, _ = read_usable(connection, text)
    for tier, before in zip(after.tiers, feature.tiers, strict=True):
        if tier.models != before.models:
            raise Conflict(
                f"{feature.name} names a model of its tier {tier.name} by class, and that class "
                f"now means {tier.models[0]}, not {before.models[0]}: name the model by its id, or "
                "apply the file and evaluate it again"
            )
    return after, text


def _refuse_single(feature: Feature) -> None:
    if len(feature.tiers) < 2:
        raise Conflict(f"{feature.name} has only one tier: there is nothing to promote")


def _refuse_unproven(feature: Feature, valid: ValidEvaluation) -> None:
    compared = valid.compared
    finding = f"evaluation {valid.evaluation['id']}: {compared['reason']}"
    if compared["verdict"] == "investigate":
        raise Conflict(
            f"{finding}; look at the data first: tierline promote {feature.name} --investigate"
        )
    if compared["verdict"] == "open" and compared["more_examples"] is None:
        raise Conflict(f"{finding}; no realistic number of examples would settle it")
    if compared["verdict"] == "open":
        raise Conflict(
            f"{finding}; about {compared['more_examples']:,} more examples would settle it"
        )


def _refuse_unwatched(
    connection: Connection[Any], feature: Feature, share: float, before: PromotionRow | None
) -> None:
    """Raises Conflict if a canary has no shadows, or if it has too few compared answers to grow."""
    if share < 1.0 and feature.shadow is None:
        raise Conflict(
            f"a canary needs shadows, and {feature.name} has none: give it 'shadow: "
            "{share: 0.05}' and apply it"
        )
    if before is None or before["share"] >= share or before["tier"] != feature.tiers[0].name:
        return
    samples, differ = _compared(connection, feature, before)
    if is_broken(differ, samples, before["most_differing"]):
        raise Conflict(
            f"{differ} of {samples} answers of the canary differ from the last tier's; its "
            f"evidence allows {before['most_differing']:.1%}: it is about to be demoted"
        )
    if samples < FEWEST:
        raise Conflict(
            f"{samples} of {FEWEST} answers were compared since the canary was set to "
            f"{before['share']:.2%}: it may grow after all of them are compared"
        )


def _only_checks(feature: Feature) -> bool:
    """Whether only failed checks escalate from the first tier."""
    confidence = feature.confidence_of(feature.tiers[0])
    return confidence is None or confidence.threshold == 0


def _shown(connection: Connection[Any], feature: Feature, row: PromotionRow) -> Promotion:
    goes_on = row["ended_at"] is None and feature.tiers[0].name == row["tier"]
    return promotion_view(row, _compared(connection, feature, row) if goes_on else None)
