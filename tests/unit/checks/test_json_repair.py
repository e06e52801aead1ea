"""What is read from a model's text, what is repaired, and what is not made up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples.json_values import TEXT, VALUES
from tierline.base.json_text import NotJson
from tierline.checks.json_repair import Read, read_answer


@given(VALUES)
def test_a_valid_document_is_never_changed(value: object) -> None:
    assert read_answer(json.dumps(value)) == Read(value, repaired=False)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_fenced_object_is_read_as_it_stands(value: dict[str, object]) -> None:
    assert read_answer(f"```json\n{json.dumps(value)}\n```") == Read(value, repaired=True)


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), st.integers(min_value=1))
def test_a_cut_off_object_is_never_completed(value: dict[str, object], cut: int) -> None:
    whole = json.dumps(value)
    with pytest.raises(NotJson):
        read_answer(whole[: -(1 + cut % (len(whole) - 1))])


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}```',
        'Here you are: {"a": 1}',
        '{"a": 1}\n\nI hope this helps! :-}',
        'Sure [as asked]:\n```json\n{"a": 1}\n```\nAnything else?',
        '{"a": 1}\n{"a": 1}',
        '```json\n{"a": 1}',
    ],
)
def test_what_stands_around_a_whole_value_is_cut_away(text: str) -> None:
    assert read_answer(text) == Read({"a": 1}, repaired=True)


def test_white_space_and_a_byte_order_mark_are_no_repair() -> None:
    assert read_answer('\ufeff \n{"a": 1}\n') == Read({"a": 1}, repaired=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "I cannot do that.",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": "\\u0000"}',
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": {"b": 1}, "c": [1, 2',
        '{"a": 1} or rather {"a": 2}',
        "[" * 1000 + "]" * 1000,
        "[" * 100_000,
        '{"a":' * 65 + "1" + "}" * 65,
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_single_strict_value_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        read_answer(text)


def test_the_reason_says_where_and_quotes_no_value() -> None:
    with pytest.raises(NotJson, match="line 1 column") as caught:
        read_answer('{"iban": "SE35 5000"; }')
    assert "5000" not in caught.value.message
