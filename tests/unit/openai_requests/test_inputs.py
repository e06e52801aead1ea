"""A job's input from OpenAI's, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.base.errors import InvalidInput, Problem
from tierline.features import Feature
from tierline.features.openai_options import OpenaiOptions, Treatment
from tierline.openai_requests.inputs import (
    RequestMessages,
    job_input,
    read_messages,
    sent_messages,
    text_field,
    where_sent,
)

TEXT = {"type": "string"}
ONE_FIELD = {"type": "object", "properties": {"text": TEXT}}
SEVERAL = {"type": "object", "properties": {"title": TEXT, "body": TEXT}}
WITH_MORE = {
    "type": "object",
    "properties": {"text": TEXT, "instructions": TEXT, "messages": {"type": "array"}},
}
OWN = "Extract the total.\nAnswer with JSON."


def feature(
    schema: dict[str, Any], instructions: Treatment = "refuse", conversation: Treatment = "refuse"
) -> Feature:
    """A feature with this input."""
    return Feature(
        name="f",
        description="",
        instructions=OWN,
        input_schema=schema,
        output_schema=TEXT,
        tiers=(),
        openai=OpenaiOptions(instructions, conversation),
    )


def fitted(text: str, schema: dict[str, Any]) -> Any:
    return job_input(RequestMessages(text), feature(schema), "input", 20).input


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
    assert fitted("5", TEXT) == "5"
    assert fitted("5", ONE_FIELD) == {"text": "5"}
    assert fitted('{"title": "a"}', SEVERAL) == {"title": "a"}
    with pytest.raises(InvalidInput, match="must be its JSON"):
        fitted("five", SEVERAL)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_a_text_comes_back_as_it_was_sent(text: str) -> None:
    for schema in (TEXT, ONE_FIELD):
        assert sent_messages(fitted(text, schema), feature(schema))[-1].content == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abc é"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(json_values)
def test_json_comes_back_with_the_same_value(value: Any) -> None:
    text = json.dumps(value)
    assert json.loads(sent_messages(fitted(text, SEVERAL), feature(SEVERAL))[-1].content) == value


@given(json_values)
def test_anything_as_input_is_a_text_or_is_refused_with_its_place(value: Any) -> None:
    try:
        messages = read_messages(value, "input")
    except InvalidInput as refused:
        paths = [one.path for one in refused.problems]
    else:
        assert isinstance(messages.text, str)
        return
    assert all(path.startswith("/input") for path in paths)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ([], "/messages"),
        (5, "/messages"),
        ([{"role": "system", "content": "x"}], "/messages"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "/messages"),
        ([{"role": "critic", "content": "x"}], "/messages/0/role"),
        ([{"role": "assistant", "content": "x", "tool_calls": [{"id": "a"}]}],
         "/messages/0/tool_calls"),
        ([{"role": "user", "content": "x", "tool_calls": []}], "/messages/0/tool_calls"),
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
        read_messages(sent, "messages")
    assert refused.value.problems[0].path == path


def test_a_problem_of_the_job_names_the_field_of_the_request() -> None:
    assert where_sent(Problem("x", "/feature"), "input").path == "/model"
    problem = where_sent(Problem("must be a text", "/input/text"), "messages")
    assert (problem.path, problem.message) == (
        "/messages",
        "/text of the feature's input: must be a text",
    )
    assert where_sent(Problem("x", "/metadata"), "input").path == "/metadata"


TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1", "refusal": None, "annotations": [], "tool_calls": None},
    {"role": "developer", "content": [{"type": "text", "text": "In English."}]},
    {"role": "user", "content": "two"},
    {"role": "user", "content": "three"},
]


def test_what_is_said_is_read_by_who_says_it() -> None:
    messages = read_messages(TALK, "messages", "Be kind.")
    assert messages.text == "two\n\nthree"
    assert [one.content for one in messages.instructions] == [
        "Be kind.",
        "Be brief.",
        "In English.",
    ]
    assert [(one.role, one.content) for one in messages.earlier] == [
        ("user", "one"),
        ("assistant", "1"),
    ]


def test_an_earlier_output_of_a_response_is_read_as_it_was_given() -> None:
    part = {"type": "output_text", "text": "1", "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    messages = read_messages(
        [{**item, "content": [part]}, {"role": "user", "content": "x"}], "input"
    )
    assert [one.content for one in messages.earlier] == ["1"]


@pytest.mark.parametrize("sent", [OWN, f"  {OWN} ", OWN.replace("\n", " ")])
@pytest.mark.parametrize("treatment", ["refuse", "ignore"])
def test_the_features_own_instructions_change_nothing(sent: str, treatment: Treatment) -> None:
    messages = read_messages("hi", "input", sent)
    result = job_input(messages, feature(ONE_FIELD, instructions=treatment), "input", 9)
    assert (result.input, result.notes) == ({"text": "hi"}, {"tierline.instructions": "same"})


def test_other_instructions_and_a_conversation_are_refused_by_default() -> None:
    with pytest.raises(InvalidInput, match=r"openai: \{instructions: ignore\}") as refused:
        job_input(read_messages("x", "input", "Be kind."), feature(TEXT), "input", 9)
    assert refused.value.problems[0].path == "/instructions"
    with pytest.raises(InvalidInput, match=r"openai: \{instructions: input\}") as refused:
        job_input(read_messages(TALK, "messages"), feature(TEXT), "messages", 9)
    assert refused.value.problems[0].path == "/messages/0/role"
    with pytest.raises(InvalidInput, match=r"openai: \{conversation: ignore\}") as refused:
        job_input(read_messages(TALK, "messages"), feature(TEXT, "ignore"), "messages", 9)
    assert refused.value.problems[0].path == "/messages/2/role"


def test_what_is_left_out_is_said() -> None:
    result = job_input(read_messages(TALK, "messages"), feature(TEXT, "ignore", "ignore"), "m", 9)
    assert result.input == "two\n\nthree"
    assert result.notes == {
        "tierline.instructions": "ignored",
        "tierline.conversation": "ignored",
    }


def test_what_becomes_input_goes_into_the_fields_for_it_and_comes_back() -> None:
    takes = feature(WITH_MORE, "input", "input")
    result = job_input(read_messages(TALK, "messages"), takes, "messages", 9)
    assert result.input == {
        "text": "two\n\nthree",
        "instructions": "Be brief.\n\nIn English.",
        "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}],
    }
    assert result.notes == {"tierline.instructions": "input", "tierline.conversation": "input"}
    assert [(one.role, one.content) for one in sent_messages(result.input, takes)] == [
        ("developer", "Be brief.\n\nIn English."),
        ("user", "one"),
        ("assistant", "1"),
        ("user", "two\n\nthree"),
    ]


def test_an_input_of_several_fields_gets_them_beside_its_json() -> None:
    schema = {"type": "object", "properties": {"a": TEXT, "b": TEXT, "instructions": TEXT}}
    takes = feature(schema, instructions="input")
    messages = read_messages('{"a": "1"}', "input", "Be kind.")
    assert job_input(messages, takes, "input", 9).input == {"a": "1", "instructions": "Be kind."}
    twice = read_messages('{"instructions": "1"}', "input", "Be kind.")
    with pytest.raises(InvalidInput, match="which other messages give too"):
        job_input(twice, takes, "input", 9)


def test_without_instructions_nothing_is_added() -> None:
    takes = feature(WITH_MORE, "input", "input")
    for none in (None, ""):
        result = job_input(read_messages("x", "input", none), takes, "input", 9)
        assert (result.input, result.notes) == ({"text": "x"}, {})
