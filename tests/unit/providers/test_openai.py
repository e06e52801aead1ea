"""The provider `openai` against a real HTTP server: what is sent, and what each answer means."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_servers.model_server import ModelServer, Reply
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.openai import OpenAI
from tierline.providers.types import CallFailed, CompletionRequest, TokenLogprob
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

KEY = "sk-not-a-real-key"
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "number"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def openai(server: ModelServer) -> Iterator[OpenAI]:
    made = OpenAI(settings(server.url))
    yield made
    made.close()


def settings(url: str, **more: Any) -> Settings:
    return Settings(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url, **more)


def request(**changes: Any) -> CompletionRequest:
    values: dict[str, Any] = {
        "model": ModelRef("openai", "small"),
        "messages": [Message("user", "What is it?")],
        "max_tokens": 50,
        "temperature": 0.0,
        "timeout_s": 5.0,
    }
    return CompletionRequest(**values | changes)


def failure(openai: OpenAI, **changes: Any) -> CallFailed:
    with pytest.raises(CallFailed) as raised:
        openai.complete(request(**changes))
    assert KEY not in str(raised.value)
    return raised.value


def test_a_call_carries_the_key_the_model_and_the_messages(
    server: ModelServer, openai: OpenAI
) -> None:
    openai.complete(request(json_schema=SCHEMA, seed=7))
    call = server.calls[0]
    assert call.key == f"Bearer {KEY}"
    assert call.path == "/v1/chat/completions"
    assert call.body["messages"] == [{"role": "user", "content": "What is it?"}]
    assert call.body["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
        "strict": True,
    }
    assert (call.body["max_tokens"], call.body["seed"]) == (50, 7)


def test_an_answer_comes_with_its_exact_model_and_its_tokens_in_disjoint_buckets(
    server: ModelServer, openai: OpenAI
) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 15},
    }
    server.answer = lambda _: Reply(text="it is so", usage=usage)
    completion = openai.complete(request())
    assert (completion.text, completion.model, completion.finish) == (
        "it is so",
        "small-2026",
        None,
    )
    assert completion.usage == Usage(40, 5, 60, reasoning_tokens=15)
    assert completion.provider_request_id == "req-1"


def test_what_was_written_to_a_cache_is_no_common_input(
    server: ModelServer, openai: OpenAI
) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
    }
    server.answer = lambda _: Reply(usage=usage)
    assert openai.complete(request()).usage == Usage(10, 20, 60, cache_write_5m_tokens=30)


def test_a_usage_that_is_not_reported_is_unknown(server: ModelServer, openai: OpenAI) -> None:
    server.answer = lambda _: Reply(usage=None)
    assert openai.complete(request()).usage is None


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": -1_000_000, "completion_tokens": -5}, Usage(None, None)),
        ({"prompt_tokens": 10**12, "completion_tokens": 1}, Usage(None, 1)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 50},
            },
            Usage(None, 1, None),
        ),
        ({"prompt_tokens": 5}, Usage(5, None)),
    ],
)
def test_a_usage_that_cannot_be_is_unknown_and_never_a_negative_cost(
    server: ModelServer, openai: OpenAI, usage: dict[str, Any], read: Usage
) -> None:
    server.answer = lambda _: Reply(usage=usage)
    assert openai.complete(request()).usage == read


@pytest.mark.parametrize("model_name", ["", "a\x00b", "two words", "x" * 201, 7, None, ["small"]])
def test_a_model_name_that_is_none_is_not_kept(
    server: ModelServer, openai: OpenAI, model_name: object
) -> None:
    choice = {"message": {"content": "{}"}, "finish_reason": "stop"}
    server.answer = lambda _: Reply(
        raw=json.dumps({"model": model_name, "choices": [choice]}).encode()
    )
    assert openai.complete(request()).model == "small"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(text="half", finish_reason="length"), Verdict.TRUNCATED),
        (Reply(text="", finish_reason="content_filter"), Verdict.REFUSED),
        (Reply(text="", refusal="I would rather not"), Verdict.REFUSED),
    ],
)
def test_a_finish_that_is_not_normal_is_a_verdict(
    server: ModelServer, openai: OpenAI, reply: Reply, verdict: Verdict
) -> None:
    server.answer = lambda _: reply
    assert openai.complete(request()).finish is verdict


def test_a_finish_that_is_no_answer_is_a_failure(server: ModelServer, openai: OpenAI) -> None:
    server.answer = lambda _: Reply(finish_reason="tool_calls")
    assert failure(openai).verdict is Verdict.PROVIDER_ERROR


def test_logprobs_are_read_by_token(server: ModelServer, openai: OpenAI) -> None:
    token = {"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "a", "logprob": -0.1}]}
    server.answer = lambda _: Reply(text="a", logprobs=[token])
    completion = openai.complete(request(top_logprobs=500))
    assert completion.top_logprobs == [[TokenLogprob("a", -0.1)]]
    assert server.calls[0].body["top_logprobs"] == 20


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.REQUEST),
        (401, Cause.KEY),
        (403, Cause.KEY),
        (404, Cause.MODEL),
        (408, Cause.SERVER),
        (409, Cause.OVERLOADED),
        (429, Cause.RATE_LIMITED),
        (500, Cause.SERVER),
        (502, Cause.SERVER),
        (503, Cause.OVERLOADED),
        (504, Cause.SERVER),
        (529, Cause.OVERLOADED),
    ],
)
def test_a_status_says_whose_failure_it_is(
    server: ModelServer, openai: OpenAI, status: int, cause: Cause
) -> None:
    server.answer = lambda _: Reply(text=f"your key {KEY} is bad", status=status)
    assert failure(openai).cause is cause


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "999999"}, 3600.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_server_asks_for_is_told(
    server: ModelServer, openai: OpenAI, headers: dict[str, str], wait_s: float | None
) -> None:
    server.answer = lambda _: Reply(status=429, headers=headers)
    assert failure(openai).retry_after_s == wait_s


@pytest.mark.parametrize(
    "raw",
    [
        *(b"not json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": 3}]}'),
        b"[" * 200_000,
        b'{"choices": [{"message": {}, "finish_reason": "stop"}],'
        b' "usage": {"prompt_tokens": Infinity}}',
    ],
    ids=lambda raw: raw[:12].decode(),
)
def test_a_body_that_is_no_completion_is_a_failure_that_may_pass(
    server: ModelServer, openai: OpenAI, raw: bytes
) -> None:
    server.answer = lambda _: Reply(raw=raw)
    error = failure(openai)
    assert (error.verdict, error.retryable, error.served) == (Verdict.PROVIDER_ERROR, True, None)


def test_a_server_that_is_slow_times_out(server: ModelServer, openai: OpenAI) -> None:
    server.answer = lambda _: Reply(delay_s=10)
    error = failure(openai, timeout_s=1.0)
    assert (error.verdict, error.served) == (Verdict.TIMEOUT, None)
    assert error.latency_s < 5


def test_a_server_that_drips_is_cut_at_the_total_deadline(
    server: ModelServer, openai: OpenAI
) -> None:
    server.answer = lambda _: Reply(text="x" * 500, drip_s=0.05)
    error = failure(openai, timeout_s=0.4)
    assert error.verdict is Verdict.TIMEOUT
    assert error.latency_s < 5


def test_a_connection_cut_in_the_answer_may_have_been_billed(
    server: ModelServer, openai: OpenAI
) -> None:
    server.answer = lambda _: Reply(cut=True)
    error = failure(openai)
    assert (error.verdict, error.served) == (Verdict.PROVIDER_ERROR, None)


def test_a_server_that_is_not_there_has_billed_nothing() -> None:
    openai = OpenAI(settings("http://127.0.0.1:1/v1"))
    error = failure(openai)
    assert (error.verdict, error.served, error.retryable) == (Verdict.PROVIDER_ERROR, False, True)


def test_an_answer_over_the_size_limit_is_an_error(server: ModelServer) -> None:
    openai = OpenAI(settings(server.url, max_answer_bytes=1000))
    server.answer = lambda _: Reply(text="x" * 2000)
    assert "longer than 1000 bytes" in failure(openai).reason


def test_calls_one_after_the_other_use_one_connection(server: ModelServer, openai: OpenAI) -> None:
    for _ in range(5):
        openai.complete(request())
    assert server.connections == 1


def test_a_model_that_reasons_gets_room_for_it_and_no_temperature(
    server: ModelServer, openai: OpenAI
) -> None:
    openai.complete(request(model=ModelRef("openai", "gpt-5")))
    body = server.calls[0].body
    assert body["max_tokens"] == 50 + 25_000
    assert "temperature" not in body


def test_openai_itself_cannot_be_asked_without_a_key() -> None:
    bare = OpenAI(Settings(OPENAI_API_KEY=None))
    assert bare.missing() == "OPENAI_API_KEY is not set"
    error = failure(bare)
    assert (error.retryable, error.served) == (False, False)
