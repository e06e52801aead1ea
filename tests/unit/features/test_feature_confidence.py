"""The word `calibrated` in a confidence, and the key `comparison`."""

import pytest

from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError
from tierline.features import Feature
from tierline.features.comparison import Comparison
from tierline.features.parse import parse_feature

CALIBRATED = INVOICE.replace("threshold: 1.0", "threshold: calibrated")
THREE = CALIBRATED.replace(
    "  - name: frontier\n", "  - {name: mid, models: [openai:gpt-5-mini]}\n  - name: frontier\n"
)
LAST_TOO = CALIBRATED.replace(
    "  - name: frontier\n",
    "  - name: frontier\n    confidence: {signal: agreement, samples: 2, threshold: calibrated}\n",
)


def test_a_calibrated_confidence_survives_its_json() -> None:
    feature = parse_feature(CALIBRATED)
    assert feature.confidence is not None
    assert feature.confidence.calibrated
    assert feature.to_dict()["confidence"]["threshold"] == "calibrated"
    again = Feature.from_dict(feature.to_dict())
    assert again == feature
    assert again.fingerprint() == feature.fingerprint()


def test_a_verifier_survives_its_json_and_is_one_more_call() -> None:
    feature = parse_feature(CALIBRATED.replace("calibrated", "calibrated, verify: true"))
    assert feature.confidence is not None
    assert feature.confidence.verify
    assert Feature.from_dict(feature.to_dict()) == feature
    assert feature.answers_on(feature.tiers[0]) == 3
    assert "verify" not in parse_feature(CALIBRATED).to_dict()["confidence"]


def test_a_tier_alone_answers_the_same_way_and_is_held_to_nothing() -> None:
    alone = parse_feature(CALIBRATED).only("slm")
    confidence = alone.confidence_of(alone.tiers[0])
    assert confidence is not None
    assert (confidence.signal, confidence.samples, confidence.threshold) == ("agreement", 2, 0.0)


def test_a_comparison_survives_its_json_and_its_absence_changes_no_fingerprint() -> None:
    text = "comparison: {kind: fields, fields: {total: {kind: numeric, tolerance: 0.01}}}\n"
    feature = parse_feature(INVOICE + text)
    assert feature.comparison == Comparison("fields", None, {"total": Comparison("numeric", 0.01)})
    again = Feature.from_dict(feature.to_dict())
    assert again == feature
    assert again.fingerprint() == feature.fingerprint()
    bare = parse_feature(INVOICE)
    assert "comparison" not in bare.to_dict()
    assert bare.compared_by == Comparison("exact")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            INVOICE.replace("threshold: 1.0", "threshold: calibratd"),
            'must be 0 to 1, or the word calibrated, not "calibratd"',
        ),
        (INVOICE.replace("threshold: 1.0", "threshold: 1.5"), "must be 0 to 1, not 1.5"),
        (
            CALIBRATED.replace("routing: slm_first", "routing: slm_only"),
            "calibrated needs a later tier",
        ),
        (LAST_TOO, "the last tier cannot be calibrated"),
        (THREE, "calibrated needs the key shadow here"),
        (
            INVOICE.replace("threshold: 1.0", "threshold: 1.0, verify: true"),
            "the threshold has to be calibrated",
        ),
        (INVOICE + "comparison: sorted\n", "must be exact or normalised or numeric or set or"),
        (INVOICE + "comparison: fields\n", "give a mapping with"),
        (INVOICE + "comparison: {tolerance: 1}\n", 'the key "kind" is missing'),
        (INVOICE + "comparison: {kind: exact, tolerance: 1}\n", 'unknown key "tolerance"'),
        (INVOICE + "comparison: {kind: numeric, tolerance: -1}\n", "must be 0 to"),
        (
            INVOICE + "comparison: {kind: fields, fields: {totl: exact}}\n",
            'the output has no "totl"; did you mean "total"?',
        ),
        (INVOICE + "comparison: {kind: fields, fields: {}}\n", "must map 1 to 100 fields"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml")
    assert any(message in one.message for one in caught.value.problems), caught.value.problems
    assert all(one.line for one in caught.value.problems)
