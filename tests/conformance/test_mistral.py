"""Chat completions as Mistral's own client speaks it."""

from typing import Any

import pytest
from mistralai.client import Mistral as Client
from mistralai.client import errors
from mistralai.client.models import ChatCompletionRequest, ChatCompletionResponse

from tests.conformance.exchange import KEY, QUESTION, SCHEMA, SYSTEM, answer, both, refused, request
from tests.support.fake_servers.model_server import ModelServer
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.providers.mistral import Mistral
from tierline.providers.types import TokenLogprob
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

MODEL = "mistral-small-2506"
LOGPROB: dict[str, Any] = {"token": "dog", "logprob": -0.25, "bytes": [100], "token_id": 7}
ANSWER: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "chat.completion",
    "created": 1764000000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": '{"animal":"dog"}'},
            "logprobs": {"content": [{**LOGPROB, "top_logprobs": [LOGPROB]}]},
        }
    ],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 30,
        "total_tokens": 1230,
        "prompt_tokens_details": {"cached_tokens": 1000},
    },
}
MESSAGES: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
}


def ours(server: ModelServer) -> Mistral:
    return Mistral(Settings(MISTRAL_API_KEY=KEY, MISTRAL_BASE_URL=server.url))


def theirs(server: ModelServer) -> Client:
    return Client(api_key=KEY, server_url=server.url.removesuffix("/v1"))


def test_the_same_is_sent_and_read(server: ModelServer) -> None:
    client = theirs(server)
    found, completion = both(
        server,
        answer(ANSWER, mistral_correlation_id="c-1"),
        lambda: client.chat.complete(
            model=MODEL,
            messages=MESSAGES,
            max_tokens=50,
            temperature=0.5,
            random_seed=7,
            response_format=FORMAT,
            logprobs=True,
            top_logprobs=5,
            stream=False,
        ),
        ours(server),
        request(MODEL, json_schema=SCHEMA, seed=7, top_logprobs=5),
        ("authorization",),
    )
    assert completion.text == found.choices[0].message.content
    assert completion.model == found.model
    assert completion.provider_request_id == "c-1"
    assert completion.usage == Usage(200, 30, 1000)
    assert completion.top_logprobs == [[TokenLogprob("dog", -0.25)]]


def test_the_recorded_answer_is_one_by_the_clients_own_types() -> None:
    found = ChatCompletionResponse.model_validate(ANSWER)
    assert found.choices[0].finish_reason == "stop"
    assert found.usage.prompt_tokens == 1200


def test_the_body_has_no_field_that_the_client_does_not_know(server: ModelServer) -> None:
    server.answer = lambda _: answer(ANSWER)
    ours(server).complete(request(MODEL, json_schema=SCHEMA, seed=7, top_logprobs=5))
    body = server.calls[0].body
    ChatCompletionRequest.model_validate(body)
    assert set(body) <= set(ChatCompletionRequest.model_fields)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("stop", None), ("length", Verdict.TRUNCATED), ("model_length", Verdict.TRUNCATED)],
)
def test_a_finish_reason_of_the_client_has_a_meaning(
    server: ModelServer, reason: str, verdict: Verdict | None
) -> None:
    choice = {**ANSWER["choices"][0], "finish_reason": reason}
    server.answer = lambda _: answer({**ANSWER, "choices": [choice]})
    assert ours(server).complete(request(MODEL)).finish is verdict


@pytest.mark.parametrize("reason", ["error", "tool_calls", "tired"])
def test_a_finish_reason_that_is_no_answer_is_none(server: ModelServer, reason: str) -> None:
    choice = {**ANSWER["choices"][0], "finish_reason": reason}
    reply = answer({**ANSWER, "choices": [choice]})
    assert refused(server, reply, ours(server), request(MODEL)).cause is Cause.NO_ANSWER


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.REQUEST),
        (401, Cause.KEY),
        (404, Cause.MODEL),
        (422, Cause.REQUEST),
        (429, Cause.RATE_LIMITED),
        (500, Cause.SERVER),
        (503, Cause.OVERLOADED),
    ],
)
def test_an_error_of_the_client_is_a_failure_of_the_same_cause(
    server: ModelServer, status: int, cause: Cause
) -> None:
    body = {"detail": []} if status == 422 else {"object": "error", "message": "…", "code": "1"}
    reply = answer(body, status, retry_after="3")
    server.answer = lambda _: reply
    client = theirs(server)
    with pytest.raises(errors.MistralError) as raised:
        client.chat.complete(model=MODEL, messages=MESSAGES)
    assert raised.value.status_code == status
    failure = refused(server, reply, ours(server), request(MODEL))
    assert (failure.cause, failure.retry_after_s) == (cause, 3.0)
