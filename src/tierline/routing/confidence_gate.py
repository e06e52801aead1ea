"""Whether an answer that passed its checks has enough confidence to be served.

Pure. A confidence with a fixed threshold is compared with that threshold. A calibrated one is
compared with the threshold of the calibration in force; without a calibration nothing is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierline.features import Confidence, Feature, Tier
from tierline.routing.learned.novelty import KnownInputs
from tierline.routing.thresholds.combination import Combination

NO_CALIBRATION = "there is no calibration for this prompt, these checks and this model"


@dataclass(frozen=True)
class Calibration:
    """A calibration in force."""

    id: int
    combination: Combination
    threshold: float
    least_likeness: float | None  # of an input to the known ones; None: it covers any input
    known_inputs: KnownInputs | None  # None: it covers any input, or inputs cannot be compared here


@dataclass(frozen=True)
class Gated:
    """The gate's result for one answer."""

    reason: str | None  # why it is not served; None: it is served
    score: float | None = None  # by the calibration's combination; None: no calibration
    novel: bool = False  # the calibration does not cover its input

    @property
    def served(self) -> bool:
        return self.reason is None


def is_calibrated(feature: Feature, tier: Tier) -> bool:
    """Whether a calibration's threshold decides about the tier's answers."""
    confidence = feature.confidence_of(tier)
    return confidence is not None and confidence.calibrated


def is_compared(feature: Feature, tier: Tier) -> bool:
    """Whether the tier's answers are stored as outcomes, to be compared with the last tier's. True
    for a calibrated tier, and for the first tier of a feature with shadows.
    """
    if is_calibrated(feature, tier):
        return True
    return feature.shadow is not None and tier is feature.allowed_tiers()[0]


def inclusion(feature: Feature, tier: Tier, calibration: Calibration | None) -> float:
    """The probability that an outcome is sampled for comparison.

    Without a calibration nothing is served. If the last tier comes next, it then answers every job,
    and every outcome is compared. Otherwise the feature's shadow share is sampled, served or not,
    so that the compared outcomes represent all.
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
    """Why an answer is not served under a fixed threshold; None if it is served, or without one."""
    threshold = confidence.threshold
    if threshold is None or value is None or value >= threshold:
        return None
    return f"{confidence.signal} is {value:.3f}, under the threshold of {threshold:g}"


def gate(calibration: Calibration | None, signals: Mapping[str, float], vector: Any) -> Gated:
    """The result of a calibrated confidence for an answer with these signals.

    `vector` is the embedding of its input as one row, or None. A calibration covers only inputs
    similar to those that it was made from.
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
    """Why a calibration does not cover an input; None if it does."""
    if calibration.known_inputs is None or vector is None:
        return (
            f"this worker cannot check whether calibration {calibration.id} covers the input: "
            "run 'make setup', which installs what makes embeddings"
        )
    (likeness,) = calibration.known_inputs.likeness(vector)
    least = calibration.known_inputs.least
    if likeness >= least:
        return None
    return (
        f"its input is unlike those that calibration {calibration.id} was made from: its likeness "
        f"is {likeness:.3f}, below the least of {least:.3f}"
    )
