"""The table in docs/providers.md: what works with which provider, tried one by one."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.exchange import KEY, SCHEMA, answer, refused, request
from tests.support.fake_servers.model_server import ModelServer, Reply
from tierline.base.provider_settings import ProviderSettings
from tierline.base.settings import Settings
from tierline.providers.anthropic import Anthropic
from tierline.providers.azure import Azure
from tierline.providers.gemini import Gemini
from tierline.providers.local import Local
from tierline.providers.mistral import Mistral
from tierline.providers.ollama import Ollama
from tierline.providers.openai import OpenAI
from tierline.providers.self_hosted import llama_cpp, named, vllm
from tierline.providers.types import Completion, Provider, TokenLogprob
from tierline.providers.vertex import Vertex
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict

Json = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
WORKS, NONE = "works", "has none"
COLUMNS = (
    *("structured output", "logprobs", "cached tokens", "refusal"),
    *("truncation", "rate limit", "context overflow"),
)
LOGPROB = {"token": "a", "logprob": -0.5}
HAS_NONE = {
    # By the finish reasons that each documents; what a filter in front of one says is read.
    "refusal": {"mistral", "vllm", "llamacpp", "ollama", "local"},
    # A server of one's own makes callers wait, or says 503.
    "rate limit": {"vllm", "llamacpp", "ollama", "local"},
}


def made(name: str, server: ModelServer) -> Provider:
    root, url = server.url.removesuffix("/v1"), server.url
    makers: Mapping[str, tuple[Callable[[Settings], Provider], Json]] = {
        "openai": (OpenAI, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}),
        "azure": (Azure, {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": root}),
        "anthropic": (Anthropic, {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": root}),
        "gemini": (Gemini, {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": root}),
        "vertex": (
            Vertex,
            {
                "GOOGLE_OAUTH_ACCESS_TOKEN": KEY,
                "GOOGLE_CLOUD_PROJECT": "my-project",
                "GOOGLE_VERTEX_BASE_URL": root,
            },
        ),
        "mistral": (Mistral, {"MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": url}),
        "vllm": (vllm, {"VLLM_BASE_URL": url}),
        "llamacpp": (llama_cpp, {"LLAMACPP_BASE_URL": url}),
        "ollama": (Ollama, {"OLLAMA_HOST": root}),
        "local": (Local, {"local_url": url}),
    }
    if name == OWN:
        settings = Settings(openai_compatible=f"my-box={url}")
        return named(settings)["my-box"](settings)
    make, given = makers[name]
    return make(Settings(**given))


OWN = "a name of yours"
NAMES = (
    *("openai", "azure", "anthropic", "gemini", "vertex", "mistral"),
    *("vllm", "llamacpp", "ollama", OWN, "local"),
)
MODELS = {
    "openai": "gpt-4o-mini",
    "azure": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-3.5-flash",
    "vertex": "gemini-2.5-flash",  # newer ones tell no logprobs
}
GOOGLE = {"gemini", "vertex"}


def reply(name: str, finish: str | None = None, **more: Any) -> Reply:
    """A good answer in the provider's own form, or one that ended in another way."""
    if name == "anthropic":
        text = {"type": "text", "text": "{}"}
        usage = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 7}
        stop = finish or "end_turn"
        return answer({"type": "message", "content": [text], "stop_reason": stop, "usage": usage})
    if name in GOOGLE:
        candidate = {
            "content": {"parts": [{"text": "{}"}]},
            "finishReason": finish or "STOP",
            "logprobsResult": {
                "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}]}]
            },
        }
        usage = {"promptTokenCount": 12, "cachedContentTokenCount": 7, "candidatesTokenCount": 1}
        return answer({"candidates": [candidate], "usageMetadata": usage})
    if name == "ollama":
        return answer(
            {
                "message": {"content": "{}"},
                "done": True,
                "done_reason": finish or "stop",
                "prompt_eval_count": 12,
                "eval_count": 1,
                "logprobs": [{**LOGPROB, "top_logprobs": [LOGPROB]}],
            }
        )
    choice = {
        "message": {"content": "{}", **more},
        "finish_reason": finish or "stop",
        "logprobs": {"content": [{**LOGPROB, "top_logprobs": [LOGPROB]}]},
    }
    cached = {"cached_tokens": 7}
    usage = {"prompt_tokens": 12, "completion_tokens": 1, "prompt_tokens_details": cached}
    return answer({"choices": [choice], "usage": usage})


OVERFLOWS: Mapping[str, tuple[int, Json]] = {
    "anthropic": (
        400,
        {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}},
    ),
    "mistral": (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum"
            " context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
    ),
    "vllm": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 2048 tokens. However, you…",
                "type": "BadRequestError",
                "code": 400,
            }
        },
    ),
    "llamacpp": (400, {"error": {"code": 400, "type": "exceed_context_size_error"}}),
    "ollama": (400, {"error": "the input length exceeds the context length"}),
}
OF_GOOGLE: tuple[int, Json] = (
    400,
    {
        "error": {
            "status": "INVALID_ARGUMENT",
            "message": "The input token count (9) exceeds the maximum number of tokens allowed",
        }
    },
)
OF_OPENAI: tuple[int, Json] = (400, {"error": {"code": "context_length_exceeded"}})


def overflow(name: str) -> Reply:
    if name in GOOGLE:
        status, body = OF_GOOGLE
    elif name == "local":
        status, body = OVERFLOWS["llamacpp"]
    else:
        status, body = OVERFLOWS.get(name, OF_OPENAI)
    return answer(body, status)


def ask(name: str, server: ModelServer, told: Reply, **changes: Any) -> Completion:
    server.answer = lambda _: told
    provider = made(name, server)
    try:
        return provider.complete(request(MODELS.get(name, "small"), **changes))
    finally:
        provider.close()


def structured_output(name: str, server: ModelServer) -> str:
    ask(name, server, reply(name), json_schema=SCHEMA)
    sent = json.dumps(server.calls[-1].body)
    return WORKS if json.dumps(SCHEMA["properties"]) in sent else NONE


def logprobs(name: str, server: ModelServer) -> str:
    provider = made(name, server)
    can = provider.capabilities(MODELS.get(name, "small"))
    if not can.most_logprobs:
        return NONE
    answer = ask(name, server, reply(name), top_logprobs=5).top_logprobs
    assert answer == [[TokenLogprob("a", -0.5)]]
    assert "logprobs" in json.dumps(server.calls[-1].body)
    return WORKS


def cached_tokens(name: str, server: ModelServer) -> str:
    usage = ask(name, server, reply(name)).usage
    assert usage is not None
    if usage.cached_input_tokens is None:
        return NONE
    assert (usage.input_tokens, usage.cached_input_tokens) == (5, 7)
    return WORKS


def refusal(name: str, server: ModelServer) -> str:
    if name in HAS_NONE["refusal"]:
        return NONE
    if name == "anthropic":
        told = reply(name, "refusal")
    elif name in GOOGLE:
        told = reply(name, "SAFETY")
    else:
        assert ask(name, server, reply(name, "content_filter")).finish is Verdict.REFUSED
        told = reply(name, refusal="I would rather not")
    assert ask(name, server, told).finish is Verdict.REFUSED
    return WORKS


def truncation(name: str, server: ModelServer) -> str:
    word = {"anthropic": "max_tokens"}.get(name, "MAX_TOKENS" if name in GOOGLE else "length")
    assert ask(name, server, reply(name, word)).finish is Verdict.TRUNCATED
    return WORKS


def rate_limit(name: str, server: ModelServer) -> str:
    if name in HAS_NONE["rate limit"]:
        return NONE
    told = answer({"error": {}}, 429, retry_after="7")
    failure = refused(server, told, made(name, server), request(MODELS.get(name, "small")))
    assert (failure.cause, failure.retry_after_s) == (Cause.RATE_LIMITED, 7.0)
    return WORKS


def context_overflow(name: str, server: ModelServer) -> str:
    model = MODELS.get(name, "small")
    failure = refused(server, overflow(name), made(name, server), request(model))
    assert failure.cause is Cause.CONTEXT
    return WORKS


TRIED: Mapping[str, Callable[[str, ModelServer], str]] = {
    "structured output": structured_output,
    "logprobs": logprobs,
    "cached tokens": cached_tokens,
    "refusal": refusal,
    "truncation": truncation,
    "rate limit": rate_limit,
    "context overflow": context_overflow,
}


def row(name: str, found: Mapping[str, str]) -> str:
    shown = f"`{name}:`" if name != OWN else name
    return f"| {shown} | " + " | ".join(found[column] for column in COLUMNS) + " |"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_of_a_provider_what_was_found(name: str, server: ModelServer) -> None:
    found = {column: TRIED[column](name, server) for column in COLUMNS}
    assert row(name, found) in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_has_no_row_that_was_not_tried() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    head = "| | " + " | ".join(COLUMNS) + " |"
    start = lines.index(head) + 2
    rows = [line for line in lines[start : start + len(NAMES) + 1] if line.startswith("|")]
    assert len(rows) == len(NAMES)


def test_the_page_names_each_setting() -> None:
    page = PAGE.read_text(encoding="utf-8")
    aliases = {
        str(field.validation_alias)
        for field in ProviderSettings.model_fields.values()
        if field.validation_alias is not None
    }
    assert len(aliases) > 20
    assert {name for name in aliases if f"`{name}`" not in page} == set()
