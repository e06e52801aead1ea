"""Chat Completions as OpenAI's own client speaks it, at OpenAI and at Azure."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from tests.conformance.exchange import KEY, QUESTION, SCHEMA, SYSTEM, answer, both, refused, request
from tests.support.fake_servers.model_server import ModelServer
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.providers.azure import Azure
from tierline.providers.openai import AT_OPENAI, OpenAI
from tierline.providers.types import TokenLogprob
from tierline.rules.causes import Cause

LOGPROB = {"token": "dog", "logprob": -0.25, "bytes": [100, 111, 103]}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764000000,
    "model": "gpt-4o-2024-11-20",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": '{"animal":"dog"}', "refusal": None},
            "logprobs": {"content": [{**LOGPROB, "top_logprobs": [LOGPROB]}], "refusal": None},
        }
    ],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 30,
        "total_tokens": 1230,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
MESSAGES: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
}
AUTHORIZED = ("authorization",)


def ours(server: ModelServer) -> OpenAI:
    provider = OpenAI(Settings(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url))
    provider.dialect = AT_OPENAI  # as at OpenAI itself, whose host no test asks
    return provider


def theirs(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0)


def test_the_recorded_answer_is_one_by_the_clients_own_types() -> None:
    found = ChatCompletion.model_validate(ANSWER, strict=True)
    assert found.model_dump(exclude_unset=True) == ANSWER


def test_the_same_is_sent_and_read(server: ModelServer) -> None:
    found, completion = both(
        server,
        answer(ANSWER, x_request_id="req_1"),
        lambda: theirs(server).chat.completions.create(
            model="gpt-4o",
            messages=MESSAGES,
            max_completion_tokens=50,
            temperature=0.5,
            response_format=FORMAT,
            logprobs=True,
            top_logprobs=20,
            seed=7,
            store=False,
        ),
        ours(server),
        request("gpt-4o", json_schema=SCHEMA, top_logprobs=500, seed=7),
        AUTHORIZED,
    )
    assert completion.text == found.choices[0].message.content
    assert completion.model == found.model
    assert completion.service_tier == found.service_tier
    assert found._request_id is not None
    told = found.usage
    assert told is not None
    assert told.prompt_tokens_details is not None
    assert told.completion_tokens_details is not None
    usage = completion.usage
    assert usage == Usage(100, 10, 1000, 100, None, 20)
    assert usage.cached_input_tokens == told.prompt_tokens_details.cached_tokens
    assert usage.reasoning_tokens == told.completion_tokens_details.reasoning_tokens
    assert sum(one or 0 for one in vars(usage).values()) == told.total_tokens
    assert completion.top_logprobs == [[TokenLogprob("dog", -0.25)]]


def test_a_model_that_reasons_is_asked_the_same(server: ModelServer) -> None:
    both(
        server,
        answer(ANSWER),
        lambda: theirs(server).chat.completions.create(
            model="gpt-5", messages=MESSAGES, max_completion_tokens=25_050, store=False
        ),
        ours(server),
        request("gpt-5"),
        AUTHORIZED,
    )


def test_an_effort_and_a_service_tier_are_asked_for_in_the_clients_words(
    server: ModelServer,
) -> None:
    both(
        server,
        answer(ANSWER),
        lambda: theirs(server).chat.completions.create(
            model="gpt-5",
            messages=MESSAGES,
            max_completion_tokens=25_050,
            store=False,
            reasoning_effort="low",
            service_tier="default",
        ),
        ours(server),
        request("gpt-5", reasoning_effort="low", service_tier="standard"),
        AUTHORIZED,
    )


def test_the_body_has_no_field_that_the_client_does_not_know(server: ModelServer) -> None:
    server.answer = lambda _: answer(ANSWER)
    ours(server).complete(request("gpt-4o", json_schema=SCHEMA, top_logprobs=5, seed=1))
    body = server.calls[0].body
    adapter = TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body)
    assert set(adapter) == set(body)


ERRORS = [
    (400, {"code": "context_length_exceeded"}, openai.BadRequestError, Cause.CONTEXT),
    (400, {"code": "invalid_value"}, openai.BadRequestError, Cause.REQUEST),
    (401, {"code": "invalid_api_key"}, openai.AuthenticationError, Cause.KEY),
    (403, {"code": "unsupported_country"}, openai.PermissionDeniedError, Cause.KEY),
    (404, {"code": "model_not_found"}, openai.NotFoundError, Cause.MODEL),
    (429, {"code": "rate_limit_exceeded"}, openai.RateLimitError, Cause.RATE_LIMITED),
    (429, {"code": "insufficient_quota"}, openai.RateLimitError, Cause.QUOTA),
    (500, {"code": None, "type": "server_error"}, openai.InternalServerError, Cause.SERVER),
    (503, {"code": None, "type": "overloaded"}, openai.InternalServerError, Cause.OVERLOADED),
]


@pytest.mark.parametrize(("status", "error", "kind", "cause"), ERRORS)
def test_an_error_of_the_client_is_a_failure_of_the_same_cause(
    server: ModelServer,
    status: int,
    error: dict[str, Any],
    kind: type[openai.APIStatusError],
    cause: Cause,
) -> None:
    reply = answer({"error": {"message": "…", "param": None, **error}}, status)
    server.answer = lambda _: reply
    with pytest.raises(kind) as raised:
        theirs(server).chat.completions.create(model="m", messages=MESSAGES)
    assert raised.value.code == error["code"]
    assert refused(server, reply, ours(server), request("m")).cause is cause


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "7"},
        {"retry_after_ms": "1500"},
        {"retry_after_ms": "250", "retry_after": "9"},
        {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {},
    ],
    ids=str,
)
def test_the_wait_is_the_clients(server: ModelServer, headers: dict[str, str]) -> None:
    reply = answer({"error": {}}, 429, **headers)
    failure = refused(server, reply, ours(server), request("m"))
    client = theirs(server)
    read = client._parse_retry_after_header(_as_theirs(reply.headers))
    assert failure.retry_after_s == (None if read is None else max(0.0, read))


@pytest.mark.parametrize(("said", "read"), [("true", True), ("false", False), ("perhaps", None)])
def test_what_a_server_says_of_a_retry_is_read(
    server: ModelServer, said: str, read: bool | None
) -> None:
    reply = answer({"error": {}}, 500, x_should_retry=said)
    assert refused(server, reply, ours(server), request("m")).should_retry is read


def _as_theirs(headers: Any) -> Any:
    from openai._base_client import httpx2

    return httpx2.Headers(dict(headers))


def test_azure_by_a_version_is_asked_as_its_client_asks(server: ModelServer) -> None:
    root = server.url.removesuffix("/v1")
    client = openai.AzureOpenAI(
        api_key=KEY, azure_endpoint=root, api_version="2024-10-21", max_retries=0
    )
    both(
        server,
        answer(ANSWER),
        lambda: client.chat.completions.create(
            model="my-gpt",
            messages=MESSAGES,
            max_tokens=50,
            temperature=0.5,
            response_format=FORMAT,
        ),
        Azure(
            Settings(
                AZURE_OPENAI_ENDPOINT=root,
                AZURE_OPENAI_API_KEY=KEY,
                OPENAI_API_VERSION="2024-10-21",
            )
        ),
        request("my-gpt", json_schema=SCHEMA),
        ("api-key", "authorization"),
    )


def test_azure_by_an_entra_token_is_asked_as_its_client_asks(server: ModelServer) -> None:
    root = server.url.removesuffix("/v1")
    client = openai.AzureOpenAI(
        azure_ad_token="token", azure_endpoint=root, api_version="2024-10-21", max_retries=0
    )
    both(
        server,
        answer(ANSWER),
        lambda: client.chat.completions.create(
            model="my-gpt", messages=MESSAGES, max_tokens=50, temperature=0.5
        ),
        Azure(
            Settings(
                AZURE_OPENAI_ENDPOINT=root,
                AZURE_OPENAI_AD_TOKEN="token",
                OPENAI_API_VERSION="2024-10-21",
            )
        ),
        request("my-gpt"),
        ("api-key", "authorization"),
    )


def test_azures_v1_is_asked_as_openais_client_asks(server: ModelServer) -> None:
    root = server.url.removesuffix("/v1")
    client = openai.OpenAI(api_key=KEY, base_url=f"{root}/openai/v1", max_retries=0)
    both(
        server,
        answer(ANSWER),
        lambda: client.chat.completions.create(
            model="my-gpt",
            messages=MESSAGES,
            max_completion_tokens=50,
            temperature=0.5,
            extra_headers={"api-key": KEY, "authorization": ""},
        ),
        Azure(Settings(AZURE_OPENAI_ENDPOINT=root, AZURE_OPENAI_API_KEY=KEY)),
        request("my-gpt"),
        ("api-key",),
    )
