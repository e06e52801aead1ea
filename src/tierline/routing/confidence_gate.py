"""Whether an answer that passed its checks is sure enough to be served.

Pure. A confidence with a fixed threshold is compared with that. A calibrated one is compared with
the threshold of the calibration in force; without one in force nothing is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierline.features import Confidence, Feature, Tier
from tierline.routing.combination import Combination
from tierline.routing.novelty import KnownInputs

NO_CALIBRATION = "there is no calibration for this prompt, these checks and this model"


@dataclass(frozen=True)
class Calibration:
    """A calibration in force."""

    id: int
    combination: Combination
    threshold: float
    least_likeness: float | None  # of an input to the known ones; None: it covers any input
    known_inputs: KnownInputs | None  # None: it covers any input, or none can be compared here


@dataclass(frozen=True)
class Gated:
    """What the gate says of one answer."""

    reason: str | None  # why it is not served; None: it is
    score: float | None = None  # by the calibration's combination; None: there was none
    novel: bool = False  # the calibration does not cover its input

    @property
    def served(self) -> bool:
        return self.reason is None


def is_calibrated(feature: Feature, tier: Tier) -> bool:
    """Whether the tier's answers are served by a calibration's threshold."""
    confidence = feature.confidence_of(tier)
    return confidence is not None and confidence.calibrated


def is_compared(feature: Feature, tier: Tier) -> bool:
    """Whether the tier's answers are kept as outcomes, to be compared with the last tier's: those
    of a calibrated tier, and those of the first tier of a feature that is shadowed.
    """
    if is_calibrated(feature, tier):
        return True
    return feature.shadow is not None and tier is feature.allowed_tiers()[0]


def inclusion(feature: Feature, tier: Tier, calibration: Calibration | None) -> float:
    """The probability with which an outcome is drawn to be compared.

    Without a calibration nothing is served. If the last tier comes next, its answer is there for
    every job then, and every outcome is compared. Otherwise as many as the feature shadows, served
    or not, so that those that are compared stand for all.
    """
    if (
        calibration is None
        and is_calibrated(feature, tier)
        and feature.next_tier(tier.name) is feature.allowed_tiers()[-1]
    ):
        return 1.0
    return 0.0 if feature.shadow is None else feature.shadow.share


def unlike_training(model: str) -> str:
    """Why a micro model's answer to a novel input is not served."""
    return f"its input is unlike those that {model} was trained on"


def below_threshold(confidence: Confidence, value: float | None) -> str | None:
    """Why an answer is not served under a fixed threshold; None: it is, or there is no such one."""
    threshold = confidence.threshold
    if threshold is None or value is None or value >= threshold:
        return None
    return f"{confidence.signal} is {value:.3f}, under the threshold of {threshold:g}"


def gate(calibration: Calibration | None, signals: Mapping[str, float], vector: Any) -> Gated:
    """What a calibrated confidence says of an answer with these signals.

    `vector`: the embedding of its input as one row; None: there is none. A calibration covers
    inputs like those that it was made on, and no others.
    """
    if calibration is None:
        return Gated(NO_CALIBRATION)
    if calibration.least_likeness is not None:
        novel = _not_covered(calibration, vector)
        if novel is not None:
            return Gated(novel, novel=True)
    score = calibration.combination.score(signals)
    if score >= calibration.threshold:
        return Gated(None, score)
    reason = (
        f"the score is {score:.3f}, under the threshold {calibration.threshold:.3f} of "
        f"calibration {calibration.id}"
    )
    return Gated(reason, score)


def _not_covered(calibration: Calibration, vector: Any) -> str | None:
    """Why a calibration does not cover an input; None: it does."""
    if calibration.known_inputs is None or vector is None:
        return (
            f"whether calibration {calibration.id} is about such an input cannot be told here: "
            "'make setup' brings what makes embeddings"
        )
    (likeness,) = calibration.known_inputs.likeness(vector)
    least = calibration.known_inputs.least
    if likeness >= least:
        return None
    return (
        f"its input is unlike those that calibration {calibration.id} was made on: a likeness of "
        f"{likeness:.3f}, and {least:.3f} is the least"
    )
