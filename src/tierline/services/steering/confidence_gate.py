"""The confidence gate in a worker: it reads the calibration in force and stores the outcome.

The rules are in `routing.confidence_gate`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.ids import time_of
from tierline.base.json_text import digest_of
from tierline.base.recent import Recent
from tierline.base.vectors import DIMENSIONS
from tierline.checks.signals import signals_of
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.confidence_gate import (
    Calibration,
    Gated,
    below_threshold,
    gate,
    inclusion,
    is_calibrated,
    is_compared,
    unlike_training,
)
from tierline.routing.learned.novelty import KnownInputs, packed, unpacked
from tierline.routing.thresholds.combination import Combination
from tierline.routing.thresholds.fingerprint import Recipes, fingerprint, models_text
from tierline.routing.thresholds.promise import fits_scores
from tierline.routing.thresholds.sampling import drawn_at
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered
from tierline.services.calls.attempt import Attempt
from tierline.services.calls.embedding import Embedding
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.repeat import repeat
from tierline.storage.evidence import calibrations
from tierline.storage.evidence.calibrations import CalibrationInForce
from tierline.storage.evidence.outcomes import AnswerOutcome

log = structlog.get_logger(__name__)

LOOK_S = 5.0  # the longest delay until a new calibration or a withdrawal is noticed
MOST_KEPT = 500


@dataclass
class ConfidenceGate:
    """The calibrations in this process. Thread-safe."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _in_force: Recent[str, tuple[float, Calibration | None]] = field(
        default_factory=lambda: Recent(MOST_KEPT)
    )
    _recipes: Recipes = field(default_factory=Recipes)
    _later_recipes: Recent[tuple[str, str], tuple[float, str]] = field(
        default_factory=lambda: Recent(MOST_KEPT)
    )

    def check(
        self,
        attempt: Attempt,
        answered: Answered,
        answerers: frozenset[str],
        keep_on: Callable[[], bool],
    ) -> tuple[Answered, AnswerOutcome | None]:
        """The answer, with the verdict low_confidence if its confidence is too low; and the outcome
        to store, or None.

        `answerers` are the models that answered the attempt's calls. A calibration does not cover
        novel inputs: such an answer is not served, and no outcome is stored. Raises GaveUp.
        """
        feature, tier, claim = attempt.feature, attempt.tier, attempt.claim
        answered = _by_threshold(feature, tier, answered)
        if claim.shadow or not _is_outcome(feature, tier, answered):
            return answered, None
        recipe = self._recipe(feature, tier, keep_on)
        print_ = fingerprint(recipe, answerers)
        calibrated = is_calibrated(feature, tier)
        calibration = self._calibration(print_, keep_on) if calibrated else None
        share = inclusion(feature, tier, calibration)
        digest = digest_of(claim.input)
        outcome = AnswerOutcome(
            feature=feature.name,
            recipe=recipe,
            fingerprint=print_,
            models=models_text(answerers),
            signals=_signals(answered, claim.input, time_of(claim.job_id)),
            served=answered.checked.verdict is Verdict.PASSED,
            inclusion=share,
            drawn=drawn_at(claim.job_id) < share,
            judge=feature.compared_by.model,
            input_digest=digest,
            fits_scores=fits_scores(digest),
        )
        if not calibrated:
            return answered, outcome
        vector = None
        if not tier.is_micro and (outcome.drawn or calibration is not None):
            vector = self.embedding.of(input_text(claim.input))
        gated = gate(calibration, outcome.signals, vector)
        return _gated(answered, gated), _outcome(outcome, calibration, gated, vector)

    def _recipe(self, feature: Feature, tier: Tier, keep_on: Callable[[], bool]) -> str:
        if tier is feature.allowed_tiers()[0]:
            return self._recipes.of(feature, tier)
        key = (feature.fingerprint(), tier.name)
        cached = self._later_recipes.get(key)
        if cached is None or time.monotonic() - cached[0] > LOOK_S:
            recipe = repeat(
                self.pool,
                lambda connection: recipe_of(connection, feature, tier),
                keep_on=keep_on,
            )
            cached = self._later_recipes.keep(key, (time.monotonic(), recipe))
        return cached[1]

    def _calibration(self, print_: str, keep_on: Callable[[], bool]) -> Calibration | None:
        cached = self._in_force.get(print_)
        if cached is None or time.monotonic() - cached[0] > LOOK_S:
            before = None if cached is None else cached[1]
            row = repeat(
                self.pool,
                lambda connection: calibrations.in_force(
                    connection, print_, None if before is None else before.id
                ),
                keep_on=keep_on,
            )
            calibration = None if row is None else _read(row, before)
            cached = self._in_force.keep(print_, (time.monotonic(), calibration))
        return cached[1]


def low_confidence(answered: Answered, reason: str) -> Answered:
    """Mark an answer that passed its checks but whose confidence is too low."""
    checked = replace(
        answered.checked, verdict=Verdict.LOW_CONFIDENCE, reason=reason, failures=(reason,)
    )
    return replace(answered, checked=checked)


def _by_threshold(feature: Feature, tier: Tier, answered: Answered) -> Answered:
    """The answer after the rules that need no calibration: a fixed threshold, and novelty for a
    micro model.
    """
    if answered.checked.verdict is not Verdict.PASSED:
        return answered
    if answered.novel:
        return low_confidence(answered, unlike_training(answered.model))
    confidence = feature.confidence_of(tier)
    reason = confidence and below_threshold(confidence, answered.confidence)
    return low_confidence(answered, reason) if reason else answered


def _is_outcome(feature: Feature, tier: Tier, answered: Answered) -> bool:
    """Whether the answer may be compared: it passed every check, whatever its confidence."""
    return (
        is_compared(feature, tier)
        and answered.failed_step is None
        and not answered.novel
        and answered.checked.verdict in (Verdict.PASSED, Verdict.LOW_CONFIDENCE)
    )


def _signals(answered: Answered, input: Any, created_at: datetime) -> dict[str, float]:
    checked = answered.checked
    more = signals_of(input, checked.output, created_at, repaired=checked.repaired)
    return {**answered.signals, **more}


def _gated(answered: Answered, gated: Gated) -> Answered:
    if gated.score is not None:
        answered = replace(answered, confidence=gated.score)
    if gated.reason is not None:
        answered = low_confidence(answered, gated.reason)
    return replace(answered, novel=gated.novel)


def _outcome(
    outcome: AnswerOutcome, calibration: Calibration | None, gated: Gated, vector: Any
) -> AnswerOutcome | None:
    if gated.novel:
        return None
    return replace(
        outcome,
        served=gated.served,
        score=gated.score,
        calibration_id=None if calibration is None else calibration.id,
        vector=packed(vector) if outcome.drawn and vector is not None else None,
    )


def _read(row: CalibrationInForce, before: Calibration | None) -> Calibration:
    """The calibration in a row. If it is `before`, its embeddings were not read again."""
    if before is not None and before.id == row.id:
        return before
    known_inputs, least = None, row.least_likeness
    if least is not None and row.vectors is not None:
        try:
            known_inputs = KnownInputs(unpacked(row.vectors, DIMENSIONS), least)
        except ImportError:
            log.warning("novelty_not_told", calibration=row.id)
    combination = Combination.from_dict(row.combination)
    return Calibration(row.id, combination, row.threshold, least, known_inputs)
