"""Strict JSON."""

import json

import pytest
from hypothesis import given

from tests.support.samples.json_values import VALUES
from tierline.base.json_text import NotJson, canonical_json, parse_json


@given(VALUES)
def test_what_json_writes_is_read_as_it_was(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


@given(VALUES)
def test_the_canonical_text_is_read_as_an_equal_value(value: object) -> None:
    assert parse_json(canonical_json(value)) == value


def test_equal_values_have_one_canonical_text() -> None:
    assert canonical_json({"b": 1.0, "a": [True]}) == canonical_json({"a": [True], "b": 1})
    assert canonical_json(True) != canonical_json(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("NaN", "NaN"),
        ("[1] 2", "more text"),
        ('{"a": 1, "a": 1}', '"a" occurs twice'),
        ('"\\ud83d"', "surrogate"),
        ('{"\\u0000": 1}', "NUL"),
        ("1e400", "range of a double"),
        ("9" * 5000, "too many digits"),
        ("[" * 65 + "1" + "]" * 65, "nested deeper than 64"),
        ("[" * 100_000, "nested deeper than 64"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(NotJson) as caught:
        parse_json(text)
    assert message in caught.value.message


def test_an_emoji_in_two_escapes_is_one_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"
