"""generateContent as Google's own client speaks it, at AI Studio and at Vertex."""

from typing import Any

import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors, types

from tests.conformance.exchange import KEY, QUESTION, SCHEMA, SYSTEM, answer, both, refused, request
from tests.support.fake_servers.model_server import ModelServer
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.providers.gemini import Gemini
from tierline.providers.generate_content import BLOCKED, FINISHED
from tierline.providers.types import TokenLogprob
from tierline.providers.vertex import Vertex
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "It barks…", "thought": True},
                    {"text": '{"animal":'},
                    {"text": '"dog"}'},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
            "logprobsResult": {
                "topCandidates": [{"candidates": [{"token": "dog", "logProbability": -0.25}]}]
            },
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 1200,
        "cachedContentTokenCount": 1000,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 1237,
    },
    "modelVersion": "gemini-3.5-flash",
    "responseId": "resp-1",
}
MODEL = "gemini-3.5-flash"
TELLS = "gemini-2.5-flash"  # its logprobs, at Vertex


class Token(Credentials):
    """A token that is there already."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = KEY

    def refresh(self, request: Any) -> None:
        return None


def root(server: ModelServer) -> str:
    return server.url.removesuffix("/v1")


def ours(server: ModelServer) -> Gemini:
    return Gemini(Settings(GEMINI_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=root(server)))


def theirs(server: ModelServer) -> genai.Client:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=root(server)))


def vertex(server: ModelServer) -> Vertex:
    return Vertex(
        Settings(
            GOOGLE_CLOUD_PROJECT="my-project",
            GOOGLE_CLOUD_LOCATION="europe-west4",
            GOOGLE_OAUTH_ACCESS_TOKEN=KEY,
            GOOGLE_VERTEX_BASE_URL=root(server),
        )
    )


def config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=SYSTEM,
        max_output_tokens=25_050,
        temperature=0.5,
        response_mime_type="application/json",
        response_json_schema=SCHEMA,
        seed=7,
        **more,
    )


def test_the_recorded_answer_is_one_by_the_clients_own_types() -> None:
    found = types.GenerateContentResponse.model_validate(ANSWER)
    written = found.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == ANSWER


def test_the_same_is_sent_and_read(server: ModelServer) -> None:
    client = theirs(server)
    found, completion = both(
        server,
        answer(ANSWER, x_gemini_service_tier="flex"),
        lambda: client.models.generate_content(
            model=MODEL, contents=QUESTION, config=config(store=False)
        ),
        ours(server),
        request(MODEL, json_schema=SCHEMA, seed=7, top_logprobs=20),
        ("x-goog-api-key", "authorization"),
    )
    assert completion.text == found.text
    assert completion.model == found.model_version
    assert completion.provider_request_id == found.response_id
    assert completion.service_tier == "flex"
    usage, told = completion.usage, found.usage_metadata
    assert told is not None
    assert usage == Usage(207, 10, 1000, reasoning_tokens=20)
    assert sum(one or 0 for one in vars(usage).values()) == told.total_token_count


def test_a_service_tier_is_asked_for_in_the_clients_words(server: ModelServer) -> None:
    client = theirs(server)
    asked = config(store=False, service_tier=types.ServiceTier.FLEX)
    both(
        server,
        answer(ANSWER),
        lambda: client.models.generate_content(model=MODEL, contents=QUESTION, config=asked),
        ours(server),
        request(MODEL, json_schema=SCHEMA, seed=7, service_tier="flex"),
        ("x-goog-api-key",),
    )


def test_an_effort_is_a_thinking_level_by_the_clients_own_types(server: ModelServer) -> None:
    server.answer = lambda _: answer(ANSWER)
    ours(server).complete(request(MODEL, reasoning_effort="low"))
    sent = server.calls[0].body["generationConfig"]["thinkingConfig"]
    assert sent == {"thinkingLevel": "LOW"}  # the client itself writes thinking_level, also read
    found = types.ThinkingConfig.model_validate(sent)
    assert found.thinking_level is types.ThinkingLevel.LOW


def test_vertex_is_asked_the_same(server: ModelServer) -> None:
    client = genai.Client(
        vertexai=True,
        project="my-project",
        location="europe-west4",
        credentials=Token(),
        http_options=types.HttpOptions(base_url=root(server)),
    )
    _, completion = both(
        server,
        answer(ANSWER),
        lambda: client.models.generate_content(
            model=TELLS, contents=QUESTION, config=config(response_logprobs=True, logprobs=20)
        ),
        vertex(server),
        request(TELLS, json_schema=SCHEMA, seed=7, top_logprobs=20),
        ("authorization", "x-goog-api-key"),
    )
    assert completion.top_logprobs == [[TokenLogprob("dog", -0.25)]]


@pytest.mark.parametrize("reason", list(types.FinishReason))
def test_each_of_the_clients_finish_reasons_has_a_meaning(
    server: ModelServer, reason: types.FinishReason
) -> None:
    candidate = {**ANSWER["candidates"][0], "finishReason": reason.value}
    reply = answer({**ANSWER, "candidates": [candidate]})
    if reason.value in FINISHED:
        server.answer = lambda _: reply
        verdict = ours(server).complete(request(MODEL)).finish
        assert (verdict is None) == (reason is types.FinishReason.STOP)
    else:
        assert refused(server, reply, ours(server), request(MODEL)).cause is Cause.NO_ANSWER


@pytest.mark.parametrize("reason", list(types.BlockedReason))
def test_a_blocked_prompt_is_refused(server: ModelServer, reason: types.BlockedReason) -> None:
    usage = {"promptTokenCount": 12, "totalTokenCount": 12}
    reply = answer({"promptFeedback": {"blockReason": reason.value}, "usageMetadata": usage})
    if reason.value in BLOCKED:
        server.answer = lambda _: reply
        found = ours(server).complete(request(MODEL))
        assert (found.finish, found.usage) == (Verdict.REFUSED, Usage(12, 0))
    else:
        assert refused(server, reply, ours(server), request(MODEL)).cause is Cause.NO_ANSWER


def test_an_answer_without_a_candidate_or_a_reason_is_none(server: ModelServer) -> None:
    reply = answer({"usageMetadata": ANSWER["usageMetadata"]})
    assert refused(server, reply, ours(server), request(MODEL)).cause is Cause.UNREADABLE


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}
MINUTE = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
ERRORS: list[tuple[int, str, str, list[Any], Cause, float | None]] = [
    (400, "INVALID_ARGUMENT", "…", [], Cause.REQUEST, None),
    (400, "INVALID_ARGUMENT", TOO_LONG, [], Cause.CONTEXT, None),
    (400, "INVALID_ARGUMENT", "API key not valid.", [BAD_KEY], Cause.KEY, None),
    (403, "PERMISSION_DENIED", "…", [], Cause.KEY, None),
    (404, "NOT_FOUND", "…", [], Cause.MODEL, None),
    (429, "RESOURCE_EXHAUSTED", "…", [MINUTE, RETRY], Cause.RATE_LIMITED, 34.5),
    (429, "RESOURCE_EXHAUSTED", "…", [DAILY, RETRY], Cause.QUOTA, 34.5),
    (500, "INTERNAL", "…", [], Cause.SERVER, None),
    (503, "UNAVAILABLE", "…", [], Cause.OVERLOADED, None),
    (504, "DEADLINE_EXCEEDED", "…", [], Cause.SERVER, None),
]


@pytest.mark.parametrize(("status", "code", "message", "details", "cause", "wait_s"), ERRORS)
def test_an_error_of_the_client_is_a_failure_of_the_same_cause(
    server: ModelServer,
    status: int,
    code: str,
    message: str,
    details: list[Any],
    cause: Cause,
    wait_s: float | None,
) -> None:
    error = {"code": status, "message": message, "status": code, "details": details}
    reply = answer({"error": error}, status)
    server.answer = lambda _: reply
    client = theirs(server)
    with pytest.raises(errors.APIError) as raised:
        client.models.generate_content(model=MODEL, contents=QUESTION)
    assert raised.value.status == code
    failure = refused(server, reply, ours(server), request(MODEL))
    assert (failure.cause, failure.retry_after_s) == (cause, wait_s)
