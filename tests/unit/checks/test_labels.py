"""Label confidence: which labels can be told apart, and what their tokens say."""

import math
from dataclasses import dataclass

import pytest

from tests.support.samples.features import TRIAGE
from tierline.checks.labels import CONTENT_FREE, LabelSet, closed_set, indistinct, scoring_messages
from tierline.checks.labels import score as score_labels
from tierline.features.parse import parse_feature
from tierline.features.prompts import PriorFailure
from tierline.rules.verdicts import Verdict


@dataclass(frozen=True)
class Token:
    token: str
    logprob: float


def tokens(**chances: float) -> list[Token]:
    return [Token(text.replace("_", " "), math.log(chance)) for text, chance in chances.items()]


def enum(*labels: str) -> dict[str, object]:
    return {"type": "string", "enum": list(labels)}


def labels_of(*labels: str) -> LabelSet:
    label_set = closed_set(enum(*labels))
    assert label_set is not None
    return label_set


def test_a_string_enum_is_a_closed_set() -> None:
    labels = labels_of("billing", "bug")
    assert labels.wrap("bug") == "bug"
    assert labels.text("bug") == '"bug"'


def test_an_object_around_one_enum_is_a_closed_set() -> None:
    schema = {"type": "object", "required": ["kind"], "properties": {"kind": enum("a", "b")}}
    labels = closed_set(schema)
    assert labels is not None
    assert labels.wrap("a") == {"kind": "a"}
    assert labels.unwrap({"kind": "b"}) == "b"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"enum": ["a"]},
        {"enum": ["a", 1]},
        {"enum": ["a", ""]},
        {"type": "object", "required": ["x", "y"], "properties": {"x": enum("a", "b")}},
        {"type": "object", "properties": {"x": enum("a", "b")}},
    ],
)
def test_anything_else_is_not(schema: dict[str, object]) -> None:
    assert closed_set(schema) is None


def test_labels_that_begin_apart_stand_for_themselves() -> None:
    assert labels_of("billing", "bug", "other").own_text


def test_labels_that_begin_alike_get_letters() -> None:
    assert labels_of("card_lost", "card_arrival", "other").codes == ("A", "B", "C")


def test_more_labels_that_begin_alike_than_letters_cannot_be_told_apart() -> None:
    assert indistinct(labels_of(*(f"card {number}" for number in range(26)))) is None
    objection = indistinct(labels_of(*(f"card {number}" for number in range(27))))
    assert objection
    assert "27 labels" in objection


def test_the_label_that_gains_most_over_the_baseline_wins() -> None:
    scores = score_labels(
        labels_of("billing", "bug"),
        tokens(bill=0.6, bug=0.3),
        tokens(bill=0.8, bug=0.1),
    )
    assert scores.best == "bug"
    assert scores.confidence == pytest.approx(3 / (3 + 0.75))
    assert sum(scores.scores.values()) == pytest.approx(1)


def test_space_and_case_do_not_matter_and_forms_add_up() -> None:
    scores = score_labels(
        labels_of("yes", "no"), tokens(Yes=0.2, _yes=0.2, YES=0.1, no=0.5), tokens(y=0.5, n=0.5)
    )
    assert scores.scores["yes"] == pytest.approx(0.5)


def test_a_token_that_begins_two_labels_counts_for_neither() -> None:
    scores = score_labels(
        labels_of("billing", "bug"), tokens(b=0.9, bug=0.01), tokens(bill=0.5, bug=0.5)
    )
    assert scores.best == "bug"
    assert scores.scores["billing"] == 0


def test_a_token_that_is_a_whole_label_counts_for_it() -> None:
    scores = score_labels(labels_of("a", "ab"), tokens(a=0.9, ab=0.1), tokens(a=0.5, ab=0.5))
    assert (scores.best, scores.confidence) == ("a", pytest.approx(0.9))


def test_without_any_labels_token_there_is_no_confidence() -> None:
    scores = score_labels(labels_of("yes", "no"), tokens(the=1.0), tokens(yes=1.0))
    assert scores.confidence == 0


def test_a_label_missing_in_the_baseline_is_taken_at_its_lowest() -> None:
    scores = score_labels(labels_of("yes", "no"), tokens(yes=0.5, no=0.5), tokens(yes=0.8, the=0.1))
    assert scores.best == "no"
    assert scores.confidence == pytest.approx(5 / (5 + 0.625))


def test_the_baseline_asks_the_same_of_an_empty_input() -> None:
    feature = parse_feature(TRIAGE)
    labels = closed_set(feature.output_schema)
    assert labels is not None
    tier = feature.tiers[0]
    messages = scoring_messages(feature, tier, labels, {"text": "It broke."})
    baseline = scoring_messages(feature, tier, labels, None)
    assert messages[:-2] == baseline[:-2]
    assert messages[-2].content.replace("It broke.", CONTENT_FREE) == baseline[-2].content
    assert [turn.role for turn in messages[1:]] == ["user", "assistant"] * 2
    assert messages[2].content == f"{messages[-1].content} bug"


def test_labels_that_no_example_shows_are_listed() -> None:
    feature = parse_feature(TRIAGE)
    labels = closed_set(feature.output_schema)
    assert labels is not None
    messages = scoring_messages(feature, feature.tiers[0], labels, None)
    assert "Answer with one of: billing, bug, shipping." in messages[0].content


def test_a_later_tier_is_told_what_was_wrong() -> None:
    feature = parse_feature(TRIAGE)
    labels = closed_set(feature.output_schema)
    assert labels is not None
    prior = PriorFailure("slm", Verdict.LOW_CONFIDENCE, "only 0.4 sure", '{"category": "bug"}')
    messages = scoring_messages(feature, feature.tiers[0], labels, {"text": "x"}, prior)
    assert "only 0.4 sure" in messages[-2].content
