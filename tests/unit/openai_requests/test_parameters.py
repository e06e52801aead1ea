"""Every parameter of the official client's requests is kept, mapped or refused by name."""

from typing import Any

import pytest
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from tierline.base.errors import InvalidInput
from tierline.openai_requests.parameters import (
    ACCEPTED_BY_CHAT,
    ACCEPTED_BY_RESPONSES,
    read_chat_request,
    read_response_request,
)

RESPONSE = {"model": "echo", "input": "x"}
CHAT: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}


def parameters(kind: Any, streaming: Any) -> set[str]:
    return set(kind.__annotations__) | set(streaming.__annotations__)


OF_RESPONSES = parameters(
    responses.ResponseCreateParamsBase, responses.ResponseCreateParamsStreaming
)
OF_CHAT = parameters(chat.CompletionCreateParamsBase, chat.CompletionCreateParamsStreaming)


@pytest.mark.parametrize("name", sorted(OF_RESPONSES - set(ACCEPTED_BY_RESPONSES)))
def test_a_responses_parameter_that_is_not_kept_is_refused_and_null_is_nothing(name: str) -> None:
    read_response_request({**RESPONSE, name: None})
    with pytest.raises(InvalidInput) as refused:
        read_response_request({**RESPONSE, name: "a value of nobody's"})
    (problem,) = refused.value.problems
    assert problem.path == f"/{name}"
    assert "not a parameter that is known" not in problem.message


@pytest.mark.parametrize("name", sorted(OF_CHAT - set(ACCEPTED_BY_CHAT)))
def test_a_chats_parameter_that_is_not_kept_is_refused_and_null_is_nothing(name: str) -> None:
    read_chat_request({**CHAT, name: None})
    with pytest.raises(InvalidInput) as refused:
        read_chat_request({**CHAT, name: "a value of nobody's"})
    (problem,) = refused.value.problems
    assert problem.path == f"/{name}"
    assert "not a parameter that is known" not in problem.message


def test_what_is_kept_is_the_clients() -> None:
    assert set(ACCEPTED_BY_RESPONSES) <= OF_RESPONSES
    assert set(ACCEPTED_BY_CHAT) <= OF_CHAT


@pytest.mark.parametrize(
    "more",
    [
        {"service_tier": "auto", "store": True, "tools": [], "tool_choice": "auto"},
        {"parallel_tool_calls": True, "truncation": "disabled", "include": []},
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"text": {"format": {"type": "text"}}},
        {"user": "a", "safety_identifier": "a"},
    ],
)
def test_values_that_change_nothing_are_accepted(more: dict[str, Any]) -> None:
    read_response_request({**RESPONSE, **more})


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"stream": "yes"}, "/stream"),
        ({"background": 1}, "/background"),
        ({"stream_options": {}}, "/stream_options"),
        ({"stream": True, "stream_options": {"include_usage": True}},
         "/stream_options/include_usage"),
        ({"text": {"verbosity": "low"}}, "/text/verbosity"),
        ({"text": {"format": "text"}}, "/text/format"),
        ({"text": "x"}, "/text"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"metadata": {str(n): "" for n in range(17)}}, "/metadata"),
        ({"user": ""}, "/user"),
        ({"user": "a", "safety_identifier": "b"}, "/safety_identifier"),
        ({"store": 1}, "/store"),
        ({"messages": []}, "/messages"),
        ({"input": None}, "/input"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(more: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_response_request({**RESPONSE, **more})
    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_chats_format_and_usage_are_read() -> None:
    request = read_chat_request(
        {
            **CHAT,
            "stream": True,
            "stream_options": {"include_usage": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object"}},
            },
        }
    )
    assert (request.stream, request.include_usage) == (True, True)
    assert request.format == {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
