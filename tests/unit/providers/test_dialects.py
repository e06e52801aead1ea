"""Servers that speak Chat Completions in their own way, and Ollama: address, key, body, answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_servers.model_server import Call, ModelServer, Reply
from tierline import providers
from tierline.base.settings import Settings, settings
from tierline.base.usage import Usage
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.azure import Azure
from tierline.providers.mistral import Mistral
from tierline.providers.ollama import Ollama
from tierline.providers.self_hosted import llama_cpp, named, vllm
from tierline.providers.types import (
    CallFailed,
    Completion,
    CompletionRequest,
    Provider,
    TokenLogprob,
)
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

KEY = "not-a-real-key"
LABEL = {"type": "string", "enum": ["a", "b"]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def ask(provider: Provider, model: str = "small", **changes: Any) -> Completion:
    values: dict[str, Any] = {
        "model": ModelRef("any", model),
        "messages": [Message("user", "What is it?")],
        "max_tokens": 50,
        "temperature": 0.0,
        "timeout_s": 10.0,
    }
    try:
        return provider.complete(CompletionRequest(**values | changes))
    finally:
        provider.close()


def azure(server: ModelServer, **more: Any) -> Azure:
    root = server.url.removesuffix("/v1")
    given = {"AZURE_OPENAI_ENDPOINT": root, "AZURE_OPENAI_API_KEY": KEY}
    return Azure(Settings(**given | more))


def last(server: ModelServer) -> Call:
    return server.calls[-1]


def test_azure_without_a_version_is_asked_by_its_v1_api(server: ModelServer) -> None:
    ask(azure(server), "my-deployment")
    call = last(server)
    assert call.path == "/openai/v1/chat/completions"
    assert (call.headers["api-key"], call.key) == (KEY, None)
    assert call.body["model"] == "my-deployment"


def test_azure_with_a_version_is_asked_by_the_deployments_path(server: ModelServer) -> None:
    ask(azure(server, OPENAI_API_VERSION="2024-10-21"), "my/own")
    path = "/openai/deployments/my%2Fown/chat/completions?api-version=2024-10-21"
    assert last(server).path == path
    assert last(server).body["max_tokens"] == 50


def test_azures_entra_token_goes_before_its_key(server: ModelServer) -> None:
    ask(azure(server, AZURE_OPENAI_AD_TOKEN="token"))
    assert last(server).key == "Bearer token"
    assert "api-key" not in last(server).headers


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_azures_address_may_be_any_that_its_portal_shows(server: ModelServer, path: str) -> None:
    root = server.url.removesuffix("/v1")
    ask(azure(server, AZURE_OPENAI_ENDPOINT=root + path))
    assert last(server).path == "/openai/v1/chat/completions"


def test_a_prompt_that_azures_filter_blocked_is_refused_at_unknown_cost(
    server: ModelServer,
) -> None:
    error = {"error": {"code": "content_filter", "message": "…", "innererror": {}}}
    server.answer = lambda _: Reply(status=400, raw=json.dumps(error).encode())
    completion = ask(azure(server))
    assert (completion.finish, completion.usage) == (Verdict.REFUSED, None)


def test_azure_says_which_setting_is_missing() -> None:
    assert "AZURE_OPENAI_ENDPOINT" in (Azure(Settings()).missing() or "")
    bare = Azure(Settings(AZURE_OPENAI_ENDPOINT="https://x.openai.azure.com"))
    assert "AZURE_OPENAI_API_KEY" in (bare.missing() or "")


def mistral(server: ModelServer) -> Mistral:
    return Mistral(Settings(MISTRAL_API_KEY=KEY, MISTRAL_BASE_URL=server.url))


def test_mistral_has_its_own_name_for_the_seed(server: ModelServer) -> None:
    ask(mistral(server), seed=7, top_logprobs=5, json_schema=SCHEMA)
    body = last(server).body
    assert body["random_seed"] == 7
    assert body["response_format"]["type"] == "json_schema"
    assert not body.keys() & {"seed", "store"}


def test_mistrals_full_context_is_a_truncation_and_its_error_no_answer(
    server: ModelServer,
) -> None:
    server.answer = lambda _: Reply(text="half", finish_reason="model_length")
    assert ask(mistral(server)).finish is Verdict.TRUNCATED
    server.answer = lambda _: Reply(text="half", finish_reason="error")
    with pytest.raises(CallFailed) as raised:
        ask(mistral(server))
    assert raised.value.cause is Cause.NO_ANSWER


def test_mistrals_thoughts_are_not_its_answer(server: ModelServer) -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
    ]
    answer = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    server.answer = lambda _: Reply(raw=json.dumps(answer).encode())
    assert ask(mistral(server)).text == "yes"


def test_vllm_and_llama_cpp_guide_decoding_by_any_schema(server: ModelServer) -> None:
    for one in (
        vllm(Settings(VLLM_BASE_URL=server.url, VLLM_API_KEY=KEY)),
        llama_cpp(Settings(LLAMACPP_BASE_URL=server.url, LLAMA_API_KEY=KEY)),
    ):
        ask(one, json_schema=LABEL, top_logprobs=500)
        assert last(server).key == f"Bearer {KEY}"
        assert last(server).body["response_format"]["json_schema"]["schema"] == LABEL
    assert [call.body["top_logprobs"] for call in server.calls] == [20, 500]


def test_a_server_of_the_users_is_known_by_the_name_that_they_chose(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_BOX_API_KEY", KEY)
    settings = Settings(openai_compatible=f"my-box={server.url}")
    ask(named(settings)["my-box"](settings), "qwen3:8b")
    assert (last(server).key, last(server).body["model"]) == (f"Bearer {KEY}", "qwen3:8b")


def test_a_users_name_may_not_be_a_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERLINE_OPENAI_COMPATIBLE", "mistral=http://127.0.0.1:1/v1")
    settings.cache_clear()
    try:
        with pytest.raises(providers.UsageError, match="mistral is reserved"):
            providers.known_providers()
    finally:
        settings.cache_clear()


def ollama(server: ModelServer) -> Ollama:
    return Ollama(Settings(OLLAMA_HOST=server.url.removeprefix("http://").removesuffix("/v1")))


def ollama_answer(**changes: Any) -> Reply:
    answer = {
        "model": "qwen3:8b",
        "message": {"role": "assistant", "content": "yes"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 12,
        "eval_count": 3,
    }
    return Reply(raw=json.dumps(answer | changes).encode())


def test_ollama_is_asked_by_its_own_api(server: ModelServer) -> None:
    server.answer = lambda _: ollama_answer()
    completion = ask(ollama(server), "qwen3:8b", json_schema=LABEL, seed=3)
    body = last(server).body
    assert last(server).path == "/api/chat"
    assert (body["stream"], body["format"]) == (False, LABEL)
    assert body["options"] == {"temperature": 0.0, "num_predict": 50, "seed": 3}
    assert (completion.text, completion.usage, completion.finish) == ("yes", Usage(12, 3), None)


def test_ollamas_logprobs_are_read_by_token(server: ModelServer) -> None:
    one = {"token": "yes", "logprob": -0.5}
    server.answer = lambda _: ollama_answer(logprobs=[{**one, "top_logprobs": [one]}])
    assert ask(ollama(server), top_logprobs=5).top_logprobs == [[TokenLogprob("yes", -0.5)]]


@pytest.mark.parametrize("reason", ["load", "unload", None, 3])
def test_an_end_that_ollama_does_not_name_is_no_answer(server: ModelServer, reason: object) -> None:
    server.answer = lambda _: ollama_answer(done_reason=reason)
    with pytest.raises(CallFailed) as raised:
        ask(ollama(server))
    assert raised.value.cause is Cause.NO_ANSWER


def test_an_answer_of_ollama_that_is_not_done_is_none(server: ModelServer) -> None:
    server.answer = lambda _: ollama_answer(done=False)
    with pytest.raises(CallFailed) as raised:
        ask(ollama(server))
    assert raised.value.cause is Cause.UNREADABLE


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (404, 'model "small" not found', Cause.MODEL),
        (400, "the input length exceeds the context length", Cause.CONTEXT),
        (503, "server busy", Cause.OVERLOADED),
    ],
)
def test_a_failure_of_ollama_says_whose_it_is(
    server: ModelServer, status: int, message: str, cause: Cause
) -> None:
    server.answer = lambda _: Reply(status=status, raw=json.dumps({"error": message}).encode())
    with pytest.raises(CallFailed) as raised:
        ask(ollama(server))
    assert raised.value.cause is cause
    assert message not in str(raised.value)
