"""What a provider, a proxy or a setting may do wrong: each wire format ends it in a typed failure,
and the key stands in no word of it."""

import gzip
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.settings import refused as refused_setting
from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers import generate_content, ollama
from tierline.providers.anthropic import Anthropic
from tierline.providers.azure import Azure
from tierline.providers.gemini import Gemini
from tierline.providers.http.transport import Reply as Received
from tierline.providers.mistral import Mistral
from tierline.providers.ollama import Ollama
from tierline.providers.openai import OpenAI
from tierline.providers.self_hosted import vllm
from tierline.providers.types import (
    CallFailed,
    Completion,
    CompletionRequest,
    Provider,
)
from tierline.providers.vertex import Vertex
from tierline.rules.causes import Cause

KEY = "sk-never-to-be-seen"
FORMATS: dict[str, tuple[Callable[[Settings], Provider], dict[str, str]]] = {
    "openai": (OpenAI, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "{root}/v1"}),
    "azure": (Azure, {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "{root}"}),
    "mistral": (Mistral, {"MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": "{root}/v1"}),
    "anthropic": (Anthropic, {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "{root}"}),
    "gemini": (Gemini, {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "{root}"}),
    "vertex": (
        Vertex,
        {
            "GOOGLE_OAUTH_ACCESS_TOKEN": KEY,
            "GOOGLE_CLOUD_PROJECT": "my-project",
            "GOOGLE_VERTEX_BASE_URL": "{root}",
        },
    ),
    "ollama": (Ollama, {"OLLAMA_API_KEY": KEY, "OLLAMA_HOST": "{root}"}),
    "vllm": (vllm, {"VLLM_API_KEY": KEY, "VLLM_BASE_URL": "{root}/v1"}),
}
GOOD: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "message",
        "content": [{"type": "text", "text": "{}"}],
        "stop_reason": "end_turn",
    },
    "google": {"candidates": [{"content": {"parts": [{"text": "{}"}]}, "finishReason": "STOP"}]},
    "ollama": {"message": {"content": "{}"}, "done": True, "done_reason": "stop"},
    "chat": {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]},
}
USAGE = {
    "anthropic": ("usage", {"input_tokens": -5, "output_tokens": -1}),
    "google": ("usageMetadata", {"promptTokenCount": -5, "candidatesTokenCount": -1}),
    "chat": ("usage", {"prompt_tokens": -5, "completion_tokens": -1}),
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def kind_of(name: str) -> str:
    if name in {"gemini", "vertex"}:
        return "google"
    return name if name in GOOD else "chat"


def made(name: str, server: ModelServer) -> Provider:
    make, given = FORMATS[name]
    root = server.url.removesuffix("/v1")
    values: Any = {key: value.format(root=root) for key, value in given.items()}
    return make(Settings(**values))


def ask(name: str, server: ModelServer, model: str = "small") -> Completion:
    provider = made(name, server)
    completion_request = CompletionRequest(
        model=ModelRef(name, model),
        messages=[Message("user", "What is it?")],
        max_tokens=50,
        temperature=0.0,
        timeout_s=30.0,
        json_schema={"type": "object"},
    )
    try:
        return provider.complete(completion_request)
    finally:
        provider.close()


def failure(name: str, server: ModelServer, reply: Reply) -> CallFailed:
    server.answer = lambda _: reply
    with pytest.raises(CallFailed) as raised:
        ask(name, server)
    failure_text = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
    assert KEY not in failure_text
    return raised.value


each = pytest.mark.parametrize("name", sorted(FORMATS))


@each
@pytest.mark.parametrize(
    "raw",
    [
        b"<!doctype html><html><body>Sign in to the proxy</body></html>",
        b'data: {"choices": [{"delta": {"content": "{}"}}]}\n\ndata: [DONE]\n\n',
        b"",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b'{"choices": null, "content": null, "candidates": null, "message": null}',
        b'{"choices": [NaN]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=lambda raw: str(raw[:14]),
)
def test_a_body_that_is_no_answer_is_unreadable(name: str, server: ModelServer, raw: bytes) -> None:
    error = failure(name, server, Reply(raw=raw))
    assert (error.cause, error.served) == (Cause.UNREADABLE, None)


@each
def test_a_web_page_in_place_of_an_answer_names_the_setting_with_the_address(
    name: str, server: ModelServer
) -> None:
    error = failure(name, server, Reply(raw=b"\n<html><body>Sign in</body></html>"))
    setting = next(one for one, value in FORMATS[name][1].items() if "{root}" in value)
    assert error.reason == (
        "the server's answer (HTTP 200) is not JSON but a web page: check that "
        f"{setting} names a model server's API"
    )


@each
def test_a_body_that_was_cut_may_have_been_billed(name: str, server: ModelServer) -> None:
    whole = json.dumps(GOOD[kind_of(name)]).encode()
    assert failure(name, server, Reply(raw=whole, cut=True)).cause is Cause.SERVER
    assert failure(name, server, Reply(raw=whole[: len(whole) // 2])).cause is Cause.UNREADABLE


@each
def test_an_answer_of_ten_megabytes_is_not_read_to_its_end(name: str, server: ModelServer) -> None:
    error = failure(name, server, Reply(raw=b" " * 10_000_000))
    assert error.cause is Cause.UNREADABLE
    assert "longer than 4194304 bytes" in error.reason


PACKED = {"Content-Encoding": "gzip"}


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b" " * 50_000_000)


@each
def test_a_bomb_is_not_unpacked(name: str, server: ModelServer, bomb: bytes) -> None:
    assert len(bomb) < 100_000
    assert "longer than" in failure(name, server, Reply(raw=bomb, headers=PACKED)).reason


@each
def test_a_packed_answer_is_read_and_a_cut_or_false_one_is_not(
    name: str, server: ModelServer
) -> None:
    packed = gzip.compress(json.dumps(GOOD[kind_of(name)]).encode())
    server.answer = lambda _: Reply(raw=packed, headers=PACKED)
    assert ask(name, server).text == "{}"
    for raw in (packed[:-9], b"not packed"):
        assert failure(name, server, Reply(raw=raw, headers=PACKED)).cause is Cause.UNREADABLE
    odd = Reply(raw=packed, headers={"Content-Encoding": "br"})
    assert failure(name, server, odd).cause is Cause.UNREADABLE


@each
def test_a_redirect_is_never_followed(name: str, server: ModelServer) -> None:
    with ModelServer() as elsewhere:
        reply = Reply(status=307, headers={"Location": elsewhere.url}, raw=b"")
        error = failure(name, server, reply)
        assert not elsewhere.calls
    assert (error.cause, error.served) == (Cause.NOT_CONFIGURED, False)
    assert len(server.calls) == 1


@each
def test_a_model_that_nobody_knows_is_the_operators_to_mend(name: str, server: ModelServer) -> None:
    assert failure(name, server, Reply(status=404, raw=b"{}")).cause is Cause.MODEL


@each
def test_the_servers_words_are_never_repeated(name: str, server: ModelServer) -> None:
    words = f"Incorrect API key provided: {KEY}"
    error = {"message": words, "code": words, "type": words, "status": words}
    for body in ({"error": error}, {"error": words}, {"message": words}, [{"error": error}]):
        reply = Reply(status=401, raw=json.dumps(body).encode())
        assert failure(name, server, reply).cause is Cause.KEY


@each
def test_a_usage_that_is_missing_is_unknown(name: str, server: ModelServer) -> None:
    server.answer = lambda _: Reply(raw=json.dumps(GOOD[kind_of(name)]).encode())
    usage = ask(name, server).usage
    assert usage is None or (usage.input_tokens, usage.output_tokens) == (None, None)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini"])
def test_a_usage_below_nought_is_unknown(name: str, server: ModelServer) -> None:
    kind = kind_of(name)
    field, usage = USAGE[kind]
    server.answer = lambda _: Reply(raw=json.dumps({**GOOD[kind], field: usage}).encode())
    assert ask(name, server).usage == Usage(None, None)


@each
def test_nothing_is_logged(
    name: str, server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failure(name, server, Reply(status=401, raw=b"{}"))
    assert KEY not in caplog.text


VARIABLES = sorted(
    key for _, given in FORMATS.values() for key, value in given.items() if value == KEY
)


def refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    error = refused_setting(monkeypatch, name, value)
    assert KEY not in "".join(traceback.format_exception(error))
    return error.message


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("end", ["\n", "\r\nX-Evil: 1", " ", "é"])
def test_a_key_that_no_header_takes_is_said_without_it(
    monkeypatch: pytest.MonkeyPatch, name: str, end: str
) -> None:
    message = refused(monkeypatch, name, KEY + end)
    assert message.startswith(f"settings: {name}: contains a line break")


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert getattr(Settings(), name.lower().replace("oauth_", ""), None) is None


@pytest.mark.parametrize(
    "name", ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "MISTRAL_BASE_URL"]
)
def test_an_empty_address_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert "must be an http:// or https:// URL" in refused(monkeypatch, name, "")


def test_the_key_of_a_server_of_ones_own_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_BOX_API_KEY", KEY + "\n")
    message = refused(monkeypatch, "TIERLINE_OPENAI_COMPATIBLE", "my-box=http://127.0.0.1:1/v1")
    assert "MY_BOX_API_KEY contains a line break" in message


def test_a_logprob_beyond_every_float_is_an_answer_that_cannot_be_read() -> None:
    logprobs = [{"top_logprobs": [{"token": "a", "logprob": 10**400}]}]
    chat = {"message": {"content": "a"}, "done": True, "done_reason": "stop", "logprobs": logprobs}
    candidates = [{"candidates": [{"token": "a", "logProbability": 10**400}]}]
    candidate = {"finishReason": "STOP", "logprobsResult": {"topCandidates": candidates}}
    for read, body in (
        (ollama.read_completion, chat),
        (generate_content.read_completion, {"candidates": [candidate]}),
    ):
        with pytest.raises(CallFailed) as failed:
            read(Received(200, httpx.Headers(), json.dumps(body).encode(), 0.1), "a")
        assert failed.value.cause is Cause.UNREADABLE


@pytest.mark.parametrize(("make", "settings"), FORMATS.values(), ids=FORMATS)
def test_what_is_missing_is_named_once_with_where_to_set_it(
    make: Callable[[Settings], Provider],
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _, given in FORMATS.values():
        for name in given:
            monkeypatch.delenv(name, raising=False)
    provider = make(Settings())
    request = CompletionRequest(
        model=ModelRef("any", "small"),
        messages=[Message("user", "What is it?")],
        max_tokens=50,
        temperature=0.0,
        timeout_s=30.0,
    )
    with pytest.raises(CallFailed) as raised:
        provider.complete(request)
    missing = provider.missing()
    assert missing is not None
    assert raised.value.cause is Cause.NOT_CONFIGURED
    assert raised.value.reason == f"{missing}: set it in the environment of the workers"
    assert any(name in missing for name in settings)
