"""The key `retention` of a feature file: what is taken, and what is refused on which line."""

import pytest

from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError
from tierline.features import Feature, Retention
from tierline.features.parse import parse_feature

HERE = INVOICE.count("\n") + 1  # the line of a key that is written at the end


def problem(text: str) -> tuple[int | None, str]:
    with pytest.raises(FeatureError) as caught:
        parse_feature(INVOICE + text, "f.yaml")
    (only,) = caught.value.problems
    return only.line, only.message


def test_what_is_said_is_kept_and_survives_its_json() -> None:
    text = "retention: {inputs_days: 7, outputs_days: 30.5, keep_labelled: true}\n"
    feature = parse_feature(INVOICE + text)
    assert feature.retention == Retention(7, 30.5, keep_labelled=True)
    again = Feature.from_dict(feature.to_dict())
    assert again == feature
    assert again.fingerprint() == feature.fingerprint()


def test_one_of_the_two_is_enough_and_labels_keep_nothing_unless_said() -> None:
    feature = parse_feature(f"{INVOICE}retention: {{outputs_days: 90}}\n")
    assert feature.retention == Retention(None, 90, keep_labelled=False)
    assert Feature.from_dict(feature.to_dict()) == feature


def test_a_feature_that_says_nothing_keeps_everything_and_its_fingerprint() -> None:
    feature = parse_feature(INVOICE)
    assert feature.retention is None
    assert "retention" not in feature.to_dict()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("30", "must be a mapping, not a number"),
        ("{}", 'needs the key "inputs_days" or "outputs_days"'),
        ("{keep_labelled: true}", 'needs the key "inputs_days" or "outputs_days"'),
        ("{inputs_days: 0}", "must be 0.01 to 3650 days, not 0"),
        ("{outputs_days: 9999}", "must be 0.01 to 3650 days, not 9999"),
        ('{inputs_days: "30"}', "must be a number, not text"),
        ("{inputs_days: 1, keep_labelled: 1}", "must be true or false, not a number"),
        ("{inputs_days: 1, output_days: 1}", 'did you mean "outputs_days"?'),
    ],
)
def test_a_mistake_is_told_on_its_line(written: str, said: str) -> None:
    line, message = problem(f"retention: {written}\n")
    assert line == HERE
    assert said in message


def test_a_mistake_in_a_longer_mapping_is_told_where_it_stands() -> None:
    line, _ = problem("retention:\n  inputs_days: 1\n  outputs_days: never\n")
    assert line == HERE + 2
