"""The key `openai` of a feature file."""

import pytest

from tierline.base.errors import FeatureError
from tierline.features.model import Feature
from tierline.features.openai_options import OpenaiOptions
from tierline.features.parse import parse_feature
from tierline.features.stored import read_stored

FILE = """
feature: chatted
instructions: Answer.
input: {{type: object, properties: {{text: {{type: string}}, {fields}}}}}
output: {{type: string}}
tiers: [{{name: slm, models: ["local:small"]}}]
{key}
"""


def read(key: str, fields: str = "") -> Feature:
    return parse_feature(FILE.format(key=key, fields=fields))


def test_by_default_both_are_refused_and_the_document_is_the_old_one() -> None:
    feature = read("")
    assert feature.openai == OpenaiOptions("refuse", "refuse")
    assert "openai" not in feature.to_dict()


def test_it_is_kept_as_json() -> None:
    feature = read(
        "openai: {instructions: input, conversation: ignore}", "instructions: {type: string}"
    )
    assert feature.openai == OpenaiOptions("input", "ignore")
    assert read_stored("chatted", 1, feature.to_dict()) == feature
    assert feature.openai.fields() == {"instructions"}


@pytest.mark.parametrize(
    ("key", "fields", "message"),
    [
        ("openai: {instructions: replace}", "", "must be refuse or ignore or input"),
        ("openai: {prompt: ignore}", "", "unknown key"),
        ("openai: {}", "", "needs a key"),
        ("openai: ignore", "", "must be a mapping"),
        ("openai: {instructions: input}", "", 'needs the field "instructions"'),
        ("openai: {instructions: input}", "instructions: {type: array}", "needs the field"),
        ("openai: {conversation: input}", "messages: {type: string}", 'the field "messages"'),
    ],
)
def test_what_cannot_work_is_refused(key: str, fields: str, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        read(key, fields)
