"""Whether an answer that passed its checks is sure enough to be served."""

from typing import Any

import numpy as np
import pytest

from tests.support.database.rows import TWO_TIERS, three_tiers
from tierline.features import Confidence
from tierline.features.parse import parse_feature
from tierline.routing.confidence_gate import (
    Calibration,
    Gated,
    below_threshold,
    gate,
    inclusion,
    is_compared,
)
from tierline.routing.learned.novelty import KnownInputs
from tierline.routing.thresholds.combination import Combination, Term

BY_AGREEMENT = Combination(0.0, {"agreement": Term(0.5, 0.1, 1.0)})
CALIBRATION = Calibration(7, BY_AGREEMENT, 0.9, None, None)
EXAMPLES = np.eye(4, dtype=np.float32)[:1].repeat(5, axis=0)
NARROW = Calibration(7, BY_AGREEMENT, 0.9, 0.8, KnownInputs(EXAMPLES, 0.8))
ALIKE = EXAMPLES[:1]
UNLIKE = np.eye(4, dtype=np.float32)[1:2]
SURE, UNSURE = {"agreement": 1.0}, {"agreement": 0.5}


def feature(more: str) -> Any:
    return parse_feature(TWO_TIERS.format(name="gated") + more)


CALIBRATED = feature("confidence: {signal: agreement, samples: 2, threshold: calibrated}\n")
SHADOWED = feature("shadow: {share: 0.2}\n")


@pytest.mark.parametrize(
    ("calibration", "signals", "vector", "served", "novel"),
    [
        (None, SURE, None, False, False),
        (CALIBRATION, SURE, None, True, False),
        (CALIBRATION, UNSURE, None, False, False),
        (CALIBRATION, SURE, UNLIKE, True, False),  # it covers any input
        (NARROW, SURE, ALIKE, True, False),
        (NARROW, UNSURE, ALIKE, False, False),
        (NARROW, SURE, UNLIKE, False, True),
        (NARROW, SURE, None, False, True),  # nobody knows whether it covers the input
    ],
)
def test_the_gate(
    calibration: Calibration | None,
    signals: dict[str, float],
    vector: Any,
    served: bool,
    novel: bool,
) -> None:
    gated = gate(calibration, signals, vector)
    assert (gated.served, gated.novel) == (served, novel)
    assert (gated.reason is None) is served


def test_without_a_calibration_there_is_no_score() -> None:
    assert gate(None, SURE, None) == Gated(
        "there is no calibration for this prompt, these checks and this model"
    )


@pytest.mark.parametrize(
    ("threshold", "value", "reason"),
    [
        (0.8, 0.7, "agreement is 0.700, under the threshold of 0.8"),
        (0.8, 0.8, None),
        (0.8, None, None),
        (None, 0.1, None),  # a calibration decides
    ],
)
def test_a_fixed_threshold(
    threshold: float | None, value: float | None, reason: str | None
) -> None:
    assert below_threshold(Confidence("agreement", threshold, 2), value) == reason


def test_calibrated_tiers_and_shadowed_first_tiers_are_compared() -> None:
    assert [is_compared(CALIBRATED, tier) for tier in CALIBRATED.tiers] == [True, False]
    assert [is_compared(SHADOWED, tier) for tier in SHADOWED.tiers] == [True, False]
    assert not is_compared(three_tiers(), three_tiers().tiers[0])


def test_every_outcome_is_compared_while_the_last_tier_answers_all_of_them() -> None:
    first = CALIBRATED.tiers[0]
    assert inclusion(CALIBRATED, first, None) == 1.0
    assert inclusion(CALIBRATED, first, CALIBRATION) == 0.0
    assert inclusion(SHADOWED, SHADOWED.tiers[0], None) == 0.2
