"""A feature's calibrations: storing, listing and withdrawing them, and the state of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.routing.confidence_gate import is_calibrated
from tierline.routing.learned.novelty import packed
from tierline.routing.thresholds.promise import Promise
from tierline.services.evidence.calibration.calibration_outcomes import ReferenceBy
from tierline.services.features.find_feature import current_feature
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import calibrations
from tierline.storage.evidence.calibrations import CalibrationRow, NewCalibration
from tierline.storage.evidence.shadows import watched
from tierline.views.evidence.calibrations import CalibratedLabel, Calibration, TestedThreshold

State = Literal[
    "in_force",
    "nothing_promised",
    "not_applied",
    "superseded",
    "withdrawn",
    "of_another_version",
]


@dataclass(frozen=True)
class Tested:
    """What a promise was made about, and from which outcomes."""

    feature: Feature
    tier: Tier
    recipe: str
    fingerprint: str
    models: str  # that answered, as shown to callers
    attempt: int  # number of this calibration, from 1
    reference: ReferenceBy
    reference_models: Sequence[str]
    max_error: float  # promised, 0 to 1
    confidence: float  # 0 to 1
    first_seq: int = 0  # of its outcomes; 0: it used none, so all later outcomes are new
    last_seq: int = 0
    judge: JSON = None  # as shown to callers; None: no judge


def add(connection: Connection[Any], tested: Tested, promise: Promise) -> Calibration:
    """Store a calibration. It is in force within seconds."""
    chosen = promise.calibrated.chosen
    row = calibrations.add_calibration(
        connection,
        NewCalibration(
            feature=tested.feature.name,
            tier=tested.tier.name,
            recipe=tested.recipe,
            fingerprint=tested.fingerprint,
            models=tested.models,
            attempt=tested.attempt,
            reference=tested.reference,
            reference_models=list(tested.reference_models),
            max_error=tested.max_error,
            confidence=tested.confidence,
            first_seq=tested.first_seq,
            last_seq=tested.last_seq,
            threshold=None if chosen is None else chosen.threshold,
            served=None if chosen is None else chosen.served,
            errors=None if chosen is None else chosen.errors,
            bound=None if chosen is None else chosen.bound,
            samples=promise.calibrated.samples,
            document=promise.to_dict() | {"judge": tested.judge},
            vectors=None if promise.known_inputs is None else packed(promise.known_inputs.examples),
        ),
    )
    applied = is_calibrated(tested.feature, tested.tier)
    return _calibration(row, state_of(row, tested.recipe, applied=applied))


def calibrations_of(connection: Connection[Any], name: str) -> list[Calibration]:
    """All calibrations of a feature, newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    tiers = feature.allowed_tiers()
    now = {tier.name: recipe_of(connection, feature, tier) for tier in tiers}
    applied = {tier.name for tier in tiers if is_calibrated(feature, tier)}
    return [
        _calibration(
            row,
            state_of(row, now.get(row.tier), applied=row.tier in applied),
            watched(connection, row.id),
        )
        for row in calibrations.list_calibrations(connection, name)
    ]


def withdraw(connection: Connection[Any], name: str, id: int, reason: str) -> Calibration:
    """Withdraw a calibration. Within seconds, answers that it would serve escalate instead. Raises
    NotFound.
    """
    row = calibrations.withdraw(connection, name, id, reason)
    if row is None:
        raise NotFound(f"the feature {name[:80]!r} has no calibration {id}")
    return _calibration(row, "withdrawn", watched(connection, id))


def state_of(row: CalibrationRow, recipe: str | None, *, applied: bool) -> State:
    """The state of a calibration. `recipe`: the current one of its tier. `applied`: the tier's
    threshold is `calibrated`, so that it decides.
    """
    if row.withdrawn_at is not None:
        return "withdrawn"
    if row.recipe != recipe:
        return "of_another_version"
    if not row.newest:
        return "superseded"
    if row.threshold is None:
        return "nothing_promised"
    return "in_force" if applied else "not_applied"


def _calibration(
    row: CalibrationRow, state: State, watched: tuple[int, int] = (0, 0)
) -> Calibration:
    """A calibration as callers see it. `watched`: its shadow samples so far, and how many of them
    differ.
    """
    document = row.document
    return Calibration(
        id=str(row.id),
        feature=row.feature,
        tier=row.tier,
        state=state,
        models=row.models,
        attempt=row.attempt,
        reference=row.reference,
        reference_models=list(row.reference_models),
        max_error=row.max_error,
        confidence=row.confidence,
        tested_at=document["tested_at"],
        threshold=row.threshold,
        samples=row.samples,
        served=row.served,
        errors=row.errors,
        bound=row.bound,
        coverage=0.0 if row.served is None else row.served / row.samples,
        fitted=document["fitted"],
        signals=sorted(document["combination"]["terms"]) if document["learned"] else [],
        why_not_learned=document["why_not"],
        judge=document.get("judge"),
        least_likeness=document.get("least_likeness"),
        novel=document.get("novel", 0),
        tested=[TestedThreshold.exactly(one) for one in document["tested"]],
        by_label=[
            CalibratedLabel.exactly({"label": name, **seen})
            for name, seen in document["by_label"].items()
        ],
        shadow_samples=watched[0],
        shadow_errors=watched[1],
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
        withdrawn_reason=row.withdrawn_reason,
    )
