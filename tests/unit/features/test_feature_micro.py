"""A micro tier in a feature's file."""

import pytest

from tierline.features import Feature
from tierline.features.parse import FeatureError, parse_feature

TRIAGE = """feature: triage
instructions: Name the kind.
input: {type: object}
output: {type: string, enum: [billing, login]}
tiers:
  - {name: micro, models: [micro:all-MiniLM-L6-v2]}
  - {name: slm, models: [openai:gpt-5-nano]}
  - {name: frontier, models: [openai:gpt-5]}
"""
MICRO = "  - {name: micro, models: [micro:all-MiniLM-L6-v2]}\n"
SHADOWED = TRIAGE + "shadow: {share: 0.02}\n"


def test_it_is_always_calibrated_and_calls_no_model() -> None:
    feature = parse_feature(SHADOWED, known_providers=["openai", "micro"])
    micro, slm, _ = feature.tiers
    assert (micro.is_micro, slm.is_micro) == (True, False)
    confidence = feature.confidence_of(micro)
    assert confidence is not None
    assert confidence.calibrated
    assert feature.answers_on(micro) == 0
    again = Feature.from_dict(feature.to_dict())
    assert again == feature


def test_the_tier_behind_it_is_the_first_that_a_caller_waits_for() -> None:
    feature = parse_feature(SHADOWED)
    assert [feature.place(index) for index in range(3)] == [0, 0, 1]


def test_a_tier_alone_says_what_it_holds_likely() -> None:
    alone = parse_feature(SHADOWED).only("micro")
    confidence = alone.confidence_of(alone.tiers[0])
    assert confidence is not None
    assert confidence.threshold == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIAGE, "calibrated needs the key shadow here"),
        (SHADOWED.replace("MiniLM-L6-v2", "MiniLM-L12"), "the only micro model is"),
        (SHADOWED.replace("enum: [billing, login]", "minLength: 1"), "needs a closed set"),
        (
            TRIAGE.replace(MICRO, "") + MICRO + "shadow: {share: 0.02}\n",
            "a micro tier must be the first tier",
        ),
        (
            SHADOWED.replace("L6-v2]}", "L6-v2], instructions: Think.}"),
            "reads no prompt and calls no model; leave out instructions",
        ),
        (
            SHADOWED.replace("L6-v2]}", "L6-v2, openai:gpt-5]}"),
            "a micro tier has one model",
        ),
        (
            SHADOWED.replace(
                "L6-v2]}", "L6-v2], confidence: {signal: agreement, samples: 2, threshold: 1}}"
            ),
            "threshold comes from its calibration",
        ),
        (
            SHADOWED.replace(
                "gpt-5-nano]}", "gpt-5-nano], confidence: {signal: micro, threshold: calibrated}}"
            ),
            "is for micro tiers only",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml")
    assert any(message in one.message for one in caught.value.problems), caught.value.problems
    assert all(one.line for one in caught.value.problems)
