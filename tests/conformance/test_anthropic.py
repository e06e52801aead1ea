"""Messages as Anthropic's own client speaks it.

The tests import the client, because each process that collects this file would take 1.2 s to do so.
"""

from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import TypeAdapter

from tests.conformance.exchange import KEY, QUESTION, SCHEMA, SYSTEM, answer, both, refused, request
from tests.support.fake_servers.model_server import ModelServer
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.features.prompts import Message as Turn
from tierline.providers.anthropic import FINISHED, LONG_PROMPT, Anthropic
from tierline.providers.schemas import for_anthropic
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

if TYPE_CHECKING:
    import anthropic

ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [
        {"type": "thinking", "thinking": "It barks…", "signature": "s"},
        {"type": "text", "text": '{"animal":', "citations": None},
        {"type": "text", "text": '"dog"}', "citations": None},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 40,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 20},
        "service_tier": "standard",
        "server_tool_use": None,
    },
}
HEADERS = ("x-api-key", "anthropic-version", "authorization")
TURNS: Any = [{"role": "user", "content": QUESTION}]
FORMAT: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}


def ours(server: ModelServer) -> Anthropic:
    root = server.url.removesuffix("/v1")
    return Anthropic(Settings(ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=root))


def theirs(server: ModelServer) -> "anthropic.Anthropic":
    import anthropic

    root = server.url.removesuffix("/v1")
    return anthropic.Anthropic(api_key=KEY, base_url=root, max_retries=0)


def test_the_recorded_answer_is_one_by_the_clients_own_types() -> None:
    from anthropic.types import Message

    found = Message.model_validate(ANSWER)
    assert found.model_dump(exclude_unset=True) == ANSWER


def test_the_same_is_sent_and_read(server: ModelServer) -> None:
    found, completion = both(
        server,
        answer(ANSWER, request_id="req_1"),
        lambda: theirs(server).messages.create(
            model="claude-haiku-4-5",
            system=SYSTEM,
            messages=TURNS,
            max_tokens=50,
            output_config=FORMAT,
        ),
        ours(server),
        request("claude-haiku-4-5", json_schema=SCHEMA, seed=7),
        HEADERS,
    )
    assert completion.text == "".join(one.text for one in found.content if one.type == "text")
    assert completion.model == found.model
    assert completion.provider_request_id == found._request_id == "req_1"
    assert completion.service_tier == found.usage.service_tier
    usage = completion.usage
    assert usage == Usage(40, 10, 1000, 100, 200, 20)
    told = found.usage
    assert (usage.output_tokens or 0) + (usage.reasoning_tokens or 0) == told.output_tokens
    written = (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    assert written == told.cache_creation_input_tokens


def test_a_model_that_thinks_by_itself_is_asked_the_same(server: ModelServer) -> None:
    both(
        server,
        answer(ANSWER),
        lambda: theirs(server).messages.create(
            model="claude-opus-5", system=SYSTEM, messages=TURNS, max_tokens=25_050, timeout=60
        ),
        ours(server),
        request("claude-opus-5"),
        HEADERS,
    )


def test_an_effort_and_a_service_tier_are_asked_for_in_the_clients_words(
    server: ModelServer,
) -> None:
    both(
        server,
        answer(ANSWER),
        lambda: theirs(server).messages.create(
            model="claude-opus-5",
            system=SYSTEM,
            messages=TURNS,
            max_tokens=25_050,
            output_config={"effort": "low"},
            service_tier="standard_only",
            timeout=60,
        ),
        ours(server),
        request("claude-opus-5", reasoning_effort="low", service_tier="standard"),
        HEADERS,
    )


def test_a_long_fixed_part_is_marked_for_the_cache_as_the_client_marks_it(
    server: ModelServer,
) -> None:
    instructions = "x" * LONG_PROMPT
    mark: Any = {"cache_control": {"type": "ephemeral"}}
    turns: Any = [
        {"role": "user", "content": "It meows."},
        {"role": "assistant", "content": [{"type": "text", "text": "cat", **mark}]},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "cow"},
        {"role": "user", "content": "No."},
    ]
    both(
        server,
        answer(ANSWER),
        lambda: theirs(server).messages.create(
            model="claude-haiku-4-5",
            system=instructions,
            messages=turns,
            max_tokens=50,
        ),
        ours(server),
        request(
            "claude-haiku-4-5",
            messages=[
                Turn("system", instructions, fixed=True),
                Turn("user", "It meows.", fixed=True),
                Turn("assistant", "cat", fixed=True),
                Turn("user", QUESTION),
                Turn("assistant", "cow"),  # what a re-ask repeats is the job's own
                Turn("user", "No."),
            ],
        ),
        HEADERS,
    )


def test_long_instructions_without_examples_are_marked_for_the_cache(server: ModelServer) -> None:
    server.answer = lambda _: answer(ANSWER)
    long = [Turn("system", "x" * LONG_PROMPT, fixed=True), Turn("user", QUESTION)]
    ours(server).complete(request("claude-haiku-4-5", messages=long))
    (block,) = server.calls[0].body["system"]
    assert block["cache_control"] == {"type": "ephemeral"}


def test_the_body_has_no_field_that_the_client_does_not_know(server: ModelServer) -> None:
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

    server.answer = lambda _: answer(ANSWER)
    ours(server).complete(request("claude-haiku-4-5", json_schema=SCHEMA))
    body = server.calls[0].body
    adapter = TypeAdapter(MessageCreateParamsNonStreaming).validate_python(body)
    assert set(adapter) == set(body)


def test_each_of_the_clients_stop_reasons_has_a_meaning(server: ModelServer) -> None:
    from anthropic.types import StopReason

    for reason in get_args(StopReason):
        reply = answer({**ANSWER, "stop_reason": reason})
        if reason in {"tool_use", "pause_turn"}:
            refusal = refused(server, reply, ours(server), request("claude-haiku-4-5"))
            assert refusal.cause is Cause.NO_ANSWER, reason
            continue
        server.answer = lambda _, reply=reply: reply  # type: ignore[misc]
        verdict = ours(server).complete(request("claude-haiku-4-5")).finish
        assert verdict is FINISHED[reason], reason
        assert (verdict is None) == (reason in {"end_turn", "stop_sequence"}), reason


def test_a_stop_reason_of_tomorrow_is_no_answer(server: ModelServer) -> None:
    reply = answer({**ANSWER, "stop_reason": "tired"})
    assert (
        refused(server, reply, ours(server), request("claude-haiku-4-5")).cause is Cause.NO_ANSWER
    )


def test_a_refusal_is_refused(server: ModelServer) -> None:
    server.answer = lambda _: answer({**ANSWER, "content": [], "stop_reason": "refusal"})
    assert ours(server).complete(request("claude-haiku-4-5")).finish is Verdict.REFUSED


ERRORS = [
    (400, "invalid_request_error", "max_tokens: …", "BadRequestError", Cause.REQUEST),
    (
        *(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        *("BadRequestError", Cause.CONTEXT),
    ),
    (
        *(400, "invalid_request_error", "Your credit balance is too low to access the API"),
        *("BadRequestError", Cause.QUOTA),
    ),
    (401, "authentication_error", "", "AuthenticationError", Cause.KEY),
    (403, "permission_error", "", "PermissionDeniedError", Cause.KEY),
    (404, "not_found_error", "", "NotFoundError", Cause.MODEL),
    (413, "request_too_large", "", "APIStatusError", Cause.CONTEXT),
    (429, "rate_limit_error", "", "RateLimitError", Cause.RATE_LIMITED),
    (500, "api_error", "", "InternalServerError", Cause.SERVER),
    (529, "overloaded_error", "", "APIStatusError", Cause.OVERLOADED),
]


@pytest.mark.parametrize(("status", "code", "message", "kind", "cause"), ERRORS)
def test_an_error_of_the_client_is_a_failure_of_the_same_cause(
    server: ModelServer,
    status: int,
    code: str,
    message: str,
    kind: str,
    cause: Cause,
) -> None:
    import anthropic

    error = {"type": "error", "error": {"type": code, "message": message}}
    reply = answer(error, status, retry_after="3")
    server.answer = lambda _: reply
    with pytest.raises(getattr(anthropic, kind)):
        theirs(server).messages.create(model="m", messages=TURNS, max_tokens=5)
    failure = refused(server, reply, ours(server), request("m"))
    assert (failure.cause, failure.retry_after_s) == (cause, 3.0)


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "string", "enum": ["a", "b"]},
        {
            **SCHEMA,
            "properties": {
                "animal": {"type": "string", "format": "date"},
                "sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            },
        },
    ],
    ids=str,
)
def test_a_schema_is_said_as_the_client_says_it(schema: dict[str, Any]) -> None:
    from anthropic import transform_schema

    said = for_anthropic(schema)
    assert said is not None
    expected = transform_schema(schema)
    if "enum" in schema:
        expected = {"type": "string", **expected}  # the type is repeated here, and may be
    assert said == expected
