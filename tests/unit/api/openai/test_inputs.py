"""A job's input from OpenAI's, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.openai.inputs import job_input, read_text, sent_text, text_field, where_sent
from tierline.base.errors import InvalidInput, Problem

TEXT = {"type": "string"}
ONE_FIELD = {"type": "object", "properties": {"text": TEXT}}
SEVERAL = {"type": "object", "properties": {"title": TEXT, "body": TEXT}}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (TEXT, ""),
        ({"type": ["string", "null"]}, ""),
        (ONE_FIELD, "text"),
        ({"type": "object", "properties": {"note": {"type": ["string", "null"]}}}, "note"),
        (SEVERAL, None),
        ({"type": "object", "properties": {"n": {"type": "integer"}}}, None),
        ({"type": "object"}, None),
        ({"type": "array", "items": TEXT}, None),
        ({}, None),
    ],
)
def test_the_text_goes_where_the_one_text_is(schema: dict[str, Any], field: str | None) -> None:
    assert text_field(schema) == field


def test_an_input_is_the_text_or_its_json() -> None:
    assert job_input("5", TEXT, "input", 9) == "5"
    assert job_input("5", ONE_FIELD, "input", 9) == {"text": "5"}
    assert job_input('{"title": "a"}', SEVERAL, "input", 9) == {"title": "a"}
    with pytest.raises(InvalidInput, match="must be its JSON"):
        job_input("five", SEVERAL, "input", 9)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_a_text_comes_back_as_it_was_sent(text: str) -> None:
    for schema in (TEXT, ONE_FIELD):
        assert sent_text(job_input(text, schema, "input", 9), schema) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abc é"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(json_values)
def test_json_comes_back_with_the_same_value(value: Any) -> None:
    text = json.dumps(value)
    assert json.loads(sent_text(job_input(text, SEVERAL, "input", 20), SEVERAL)) == value


@given(json_values)
def test_anything_as_input_is_a_text_or_is_refused_with_its_place(value: Any) -> None:
    try:
        found = read_text(value, "input")
    except InvalidInput as refused:
        paths = [one.path for one in refused.problems]
    else:
        assert isinstance(found, str)
        return
    assert all(path.startswith("/input") for path in paths)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ([], "/messages"),
        (5, "/messages"),
        ([{"role": "system", "content": "x"}], "/messages/0/role"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
         "/messages/1/role"),
        ([{"role": "tool", "content": "x"}], "/messages/0/role"),
        ([{"type": "function_call_output", "output": "x"}], "/messages/0/type"),
        ([{"role": "user"}], "/messages/0/content"),
        ([{"role": "user", "content": "x", "name": "bob"}], "/messages/0/name"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "x", "cite": 1}]}],
            "/messages/0/content/0/cite",
        ),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "/messages/0/content/0/type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "/messages/0/content/0/text"),
    ],
)  # fmt: skip
def test_what_is_not_text_of_the_user_is_refused_with_its_place(sent: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_text(sent, "messages")
    assert refused.value.problems[0].path == path


def test_a_problem_of_the_job_names_the_field_of_the_request() -> None:
    assert where_sent(Problem("x", "/feature"), "input").path == "/model"
    told = where_sent(Problem("must be a text", "/input/text"), "messages")
    assert (told.path, told.message) == (
        "/messages",
        "/text of the feature's input: must be a text",
    )
    assert where_sent(Problem("x", "/metadata"), "input").path == "/metadata"
