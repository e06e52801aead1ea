"""Holding an answer against the calibration of its fingerprint, in a worker."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.embeddings import DIMENSIONS
from tierline.base.json_text import JSON, canonical_json
from tierline.base.recent import Recent
from tierline.checks.signals import signals_of
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.combination import Combination
from tierline.routing.fingerprint import Recipes, fingerprint, models_told
from tierline.routing.novelty import KnownInputs, packed, unpacked
from tierline.routing.sampling import drawn_at
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered, doubted
from tierline.services.calls.embedding import Embedding
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.repeat import repeat
from tierline.storage.evidence import calibrations
from tierline.storage.evidence.calibrations import Weighed

log = structlog.get_logger(__name__)

LOOK_S = 5.0  # how long a calibration that is new, or withdrawn, may not be known yet
MOST_KEPT = 500


def weighs(feature: Feature, tier: Tier, answered: Answered) -> bool:
    """Whether the answer is an outcome: of a tier that is calibrated, or of a first one that is
    shadowed, and doubted by nothing but its confidence.
    """
    confidence = feature.confidence_of(tier)
    calibrated = confidence is not None and confidence.calibrated
    if not calibrated and (feature.shadow is None or tier is not feature.allowed_tiers()[0]):
        return False
    return (
        answered.failed_step is None
        and not answered.novel
        and answered.checked.verdict
        in (
            Verdict.PASSED,
            Verdict.LOW_CONFIDENCE,
        )
    )


@dataclass(frozen=True)
class InForce:
    """A calibration as a worker needs it."""

    id: int
    combination: Combination
    threshold: float
    least_likeness: float | None  # of an input that it is about; None: it is about any
    known: KnownInputs | None  # … to these; None: it is about any, or that cannot be told here


@dataclass
class ConfidenceGate:
    """What this process knows of them. May be shared by threads."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _known: Recent[str, tuple[float, InForce | None]] = field(
        default_factory=lambda: Recent(MOST_KEPT)
    )
    _recipes: Recipes = field(default_factory=Recipes)
    _behind: Recent[tuple[str, str], tuple[float, str]] = field(
        default_factory=lambda: Recent(MOST_KEPT)
    )

    def weigh(
        self,
        answered: Answered,
        feature: Feature,
        tier: Tier,
        input: JSON,
        answerers: frozenset[str],
        job_id: UUID,
        keep_on: Callable[[], bool],
    ) -> tuple[Answered, Weighed | None]:
        """The answer with what its calibration makes of it, and what is kept of that.

        A confidence that is calibrated doubts the answer where no calibration is in force: what
        nothing is known about is not served. Where the last tier comes next, every such answer then
        has a reference, that one's; otherwise as many are drawn for one as the feature shadows,
        served or not, so that what has a reference stands for all. Nothing is kept, and nothing
        served, of an input that is unlike those that the calibration was made on: it promises
        nothing of such. Raises GaveUp when the database stayed away.
        """
        confidence = feature.confidence_of(tier)
        calibrated = confidence is not None and confidence.calibrated
        made_by = self._recipe(feature, tier, keep_on)
        print_ = fingerprint(made_by, answerers)
        checked = answered.checked
        signals = {
            **answered.signals,
            **signals_of(input, checked.output, repaired=checked.repaired),
        }
        held = self._in_force(print_, keep_on) if calibrated else None
        inclusion = 0.0 if feature.shadow is None else feature.shadow.share
        if (
            calibrated
            and held is None
            and feature.next_tier(tier.name) is feature.allowed_tiers()[-1]
        ):
            inclusion = 1.0
        drawn = drawn_at(job_id) < inclusion
        vector = None
        if calibrated and not tier.is_micro and (drawn or held is not None):
            vector = self.embedding.of(input_text(input))
        if held is not None and held.least_likeness is not None:
            reason = _unlike(held, vector)
            if reason is not None:
                return replace(answered, checked=doubted(checked, reason), novel=True), None
        weighed = Weighed(
            feature=feature.name,
            recipe=made_by,
            fingerprint=print_,
            models=models_told(answerers),
            signals=signals,
            served=checked.verdict is Verdict.PASSED,
            inclusion=inclusion,
            drawn=drawn,
            judge=feature.compared_by.model,
            vector=packed(vector) if drawn and vector is not None else None,
            input_digest=hashlib.sha256(canonical_json(input).encode()).digest(),
        )
        if not calibrated:
            return answered, weighed
        if held is None:
            weighed = replace(weighed, served=False)
            reason = "there is no calibration for this prompt, these checks and this model"
            return replace(answered, checked=doubted(checked, reason)), weighed
        score = held.combination.score(signals)
        weighed = replace(
            weighed, calibration_id=held.id, score=score, served=score >= held.threshold
        )
        answered = replace(answered, confidence=score)
        if weighed.served:
            return answered, weighed
        reason = (
            f"the score is {score:.3f}, under the threshold {held.threshold:.3f} of calibration "
            f"{held.id}"
        )
        return replace(answered, checked=doubted(checked, reason)), weighed

    def _recipe(self, feature: Feature, tier: Tier, keep_on: Callable[[], bool]) -> str:
        if tier is feature.allowed_tiers()[0]:
            return self._recipes.of(feature, tier)
        key = (feature.fingerprint(), tier.name)
        known = self._behind.get(key)
        if known is None or time.monotonic() - known[0] > LOOK_S:
            found = repeat(
                self.pool,
                lambda connection: recipe_of(connection, feature, tier),
                keep_on=keep_on,
            )
            known = self._behind.keep(key, (time.monotonic(), found))
        return known[1]

    def _in_force(self, print_: str, keep_on: Callable[[], bool]) -> InForce | None:
        known = self._known.get(print_)
        if known is None or time.monotonic() - known[0] > LOOK_S:
            before = None if known is None else known[1]
            row = repeat(
                self.pool,
                lambda connection: calibrations.in_force(
                    connection, print_, None if before is None else before.id
                ),
                keep_on=keep_on,
            )
            found = None if row is None else _in_force(row, before)
            known = self._known.keep(print_, (time.monotonic(), found))
        return known[1]


def _in_force(row: Mapping[str, Any], before: InForce | None) -> InForce:
    if before is not None and before.id == row["id"]:
        return before
    known, least = None, row["least_likeness"]
    if least is not None:
        try:
            known = KnownInputs(unpacked(row["vectors"], DIMENSIONS), least)
        except ImportError:
            log.warning("novelty_not_told", calibration=row["id"])
    combination = Combination.from_dict(row["combination"])
    return InForce(row["id"], combination, row["threshold"], least, known)


def _unlike(held: InForce, vector: Any) -> str | None:
    """Why a calibration promises nothing of an input; None: it does."""
    if held.known is None or vector is None:
        return (
            f"whether calibration {held.id} is about such an input cannot be told here: "
            "'make setup' brings what makes embeddings"
        )
    (likeness,) = held.known.likeness(vector)
    if likeness >= held.known.least:
        return None
    return (
        f"its input is unlike those that calibration {held.id} was made on: a likeness of "
        f"{likeness:.3f}, and {held.known.least:.3f} is the least"
    )
