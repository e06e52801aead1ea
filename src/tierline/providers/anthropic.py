"""`anthropic:` models over Anthropic's Messages API; uses ANTHROPIC_API_KEY.

Source of the format: Anthropic's API reference, "Messages", API version 2026-10-21, and the types
of its client. That version has no sampling parameters for any model ("Versions", read 2026-11-25).
Anthropic does not store requests for its users, so there is nothing to switch off.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.features.prompts import Message
from tierline.providers.capabilities import output_limit, with_catalogue
from tierline.providers.http import failures, reading
from tierline.providers.http.transport import Reply, Transport
from tierline.providers.schemas import for_anthropic
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)
from tierline.rules.verdicts import Verdict

VERSION = "2026-10-21"
FINISHED: Mapping[str, Verdict | None] = {
    "end_turn": None,
    "stop_sequence": None,
    "max_tokens": Verdict.TRUNCATED,
    "model_context_window_exceeded": Verdict.TRUNCATED,
    "refusal": Verdict.REFUSED,
}  # tool_use and pause_turn are not answers: no tools are offered
LONG_PROMPT = 4096
"""A fixed part of at least this many characters is marked for the cache. The provider caches from
1,024 or 4,096 tokens on, depending on the model. It ignores a mark on less, at no cost."""

_LINE = re.compile(
    r"claude-(?P<line>[a-z]+)-(?P<major>[0-9]{1,2})(?:-(?P<minor>[0-9]{1,2}))?(?:-|$)"
)
_OLD = re.compile(r"claude-(?:[23]|instant)\b")
SCHEMA_SINCE = (4, 5)  # first version that supports a schema
THINKS_SINCE = (5, 0)  # first version that thinks by default
EFFORTS_SINCE = {  # version → the efforts that it supports
    (4, 5): ("low", "medium", "high"),
    (4, 6): ("low", "medium", "high", "max"),
    (4, 7): ("low", "medium", "high", "xhigh", "max"),
}
SERVICE_TIERS = {"standard": "standard_only", "auto": "auto"}
UNNUMBERED = (5, 0)  # a name without a version counts as a new model
STANDARD = frozenset({None, "standard", "global", "not_available"})  # at the standard price


class Anthropic:
    """Anthropic, or another server at ANTHROPIC_BASE_URL."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.anthropic_api_key
        headers = {"anthropic-version": VERSION}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        base_url = settings.anthropic_base_url.rstrip("/").removesuffix("/v1")
        self._transport = Transport(
            base_url, headers, settings.max_answer_bytes, setting="ANTHROPIC_BASE_URL"
        )

    def missing(self) -> str | None:
        return "ANTHROPIC_API_KEY is not set" if self._key is None else None

    def capabilities(self, model: str) -> Capabilities:
        return with_catalogue("anthropic", model, by_name(model))

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        model = request.model.model
        body = body_of(request, self.capabilities(model))
        reply = self._transport.post("v1/messages", body, request.timeout_s)
        return read_completion(reply, model)

    def close(self) -> None:
        self._transport.close()


def by_name(model: str) -> Capabilities:
    """What Claude models can do, by the version in their name.

    Sources: Anthropic's "Structured outputs" (read 2026-11-26) for the schema. Models since Claude
    5 think by default, within max_tokens, and earlier ones do not: measured in
    github.com/promptfoo/promptfoo/pull/10631 (read 2026-11-26). For the efforts: Anthropic's
    "Effort" (platform.claude.com, read 2026-11-27).
    """
    version = _version(model)
    return Capabilities(
        structured_output=version >= SCHEMA_SINCE,
        temperature=False,
        seed=False,
        reasoning=version >= THINKS_SINCE,
        efforts=_efforts(model, version),
        service_tiers=tuple(SERVICE_TIERS),
    )


def _efforts(model: str, version: tuple[int, int]) -> tuple[str, ...]:
    """The efforts of a model. Before Claude 5, only Opus and Sonnet 4.6 take the parameter."""
    takes_effort = "opus" in model or ("sonnet" in model and version >= (4, 6))
    if version < THINKS_SINCE and not takes_effort:
        return ()
    supported: tuple[str, ...] = ()
    for since, efforts in EFFORTS_SINCE.items():
        if version >= since:
            supported = efforts
    return supported


def _version(model: str) -> tuple[int, int]:
    if _OLD.match(model):
        return (3, 0)
    match = _LINE.match(model)
    if match is None:
        return UNNUMBERED
    return int(match["major"]), int(match["minor"] or 0)


def body_of(request: CompletionRequest, can: Capabilities) -> dict[str, Any]:
    """The request: instructions apart, turns in order, the fixed part marked for the cache."""
    system = "\n\n".join(one.content for one in request.messages if one.role == "system")
    turns = [one for one in request.messages if one.role != "system"]
    body: dict[str, Any] = {
        "model": request.model.model,
        "max_tokens": output_limit(request.max_tokens, can, request.reasoning_effort),
        "messages": [{"role": one.role, "content": one.content} for one in turns],
    }
    if system:
        body["system"] = system
    _mark_for_cache(body, request.messages)
    if request.json_schema is not None and can.structured_output:
        schema = for_anthropic(request.json_schema)
        if schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if request.reasoning_effort in can.efforts:
        body["output_config"] = {
            **body.get("output_config", {}),
            "effort": request.reasoning_effort,
        }
    if request.service_tier is not None and request.service_tier in can.service_tiers:
        body["service_tier"] = SERVICE_TIERS[request.service_tier]
    return body


def _mark_for_cache(body: dict[str, Any], messages: Sequence[Message]) -> None:
    """Mark the last part that is the same in each call of the tier, if the fixed part is long
    enough.
    """
    fixed = [one for one in messages if one.fixed]
    if sum(len(one.content) for one in fixed) < LONG_PROMPT:
        return
    mark = {"cache_control": {"type": "ephemeral"}}
    turns = [one for one in messages if one.role != "system"]
    examples = sum(one.fixed for one in turns)  # the examples come first
    if examples:
        turn = body["messages"][examples - 1]
        turn["content"] = [{"type": "text", "text": turn["content"], **mark}]
    else:
        body["system"] = [{"type": "text", "text": body["system"], **mark}]


def read_completion(reply: Reply, requested_model: str) -> Completion:
    """A server's answer as a Completion. Raises CallFailed if it is not one."""
    if reply.status != 200:
        code, message = _error(reply)
        raise failures.failed(reply, code, message)
    data = reading.mapping(reply.json())
    blocks, finish = data.get("content"), data.get("stop_reason")
    if not isinstance(blocks, list) or data.get("type") != "message":
        raise failures.unreadable(reply, "the server's answer lacks required fields of a message")
    if not isinstance(finish, str) or finish not in FINISHED:
        raise failures.no_answer(reply)
    try:
        text = "".join(one["text"] for one in blocks if one["type"] == "text")
    except (KeyError, TypeError):
        raise failures.unreadable(reply, "the answer is not text") from None
    usage = data.get("usage")
    return Completion(
        text=text,
        usage=usage_of(usage),
        finish=FINISHED[finish],
        model=reading.model_id(data.get("model"), requested_model),
        latency_s=reply.latency_s,
        provider_request_id=reading.request_id(reply.headers.get("request-id")),
        service_tier=service_tier_of(reading.mapping(usage)),
    )


def usage_of(data: Any) -> Usage | None:
    """Anthropic counts cache reads and cache writes apart from the input."""
    if not isinstance(data, dict):
        return None
    details = reading.mapping(data.get("output_tokens_details"))
    thinking = reading.tokens(details.get("thinking_tokens"))
    visible = reading.rest(reading.tokens(data.get("output_tokens")), thinking)
    written_5m, written_1h = _cache_writes(data)
    return Usage(
        input_tokens=reading.tokens(data.get("input_tokens")),
        output_tokens=visible,
        cached_input_tokens=reading.tokens(data.get("cache_read_input_tokens")),
        cache_write_5m_tokens=written_5m,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=None if visible is None else thinking,
    )


def _cache_writes(data: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens written to the cache for five minutes and for an hour. Without the details, all count
    as five minutes, which is what was requested."""
    apart = data.get("cache_creation")
    if isinstance(apart, dict):
        return (
            reading.tokens(apart.get("ephemeral_5m_input_tokens")),
            reading.tokens(apart.get("ephemeral_1h_input_tokens")),
        )
    return reading.tokens(data.get("cache_creation_input_tokens")), None


def service_tier_of(usage: Mapping[str, Any]) -> str | None:
    """The service tier; or the speed or region if it is not the standard one, since each has its
    own prices.

    A workspace may have its own region, at 1.1 times the rate (Data residency, read 2026-11-25).
    """
    for name in ("speed", "inference_geo"):
        value = reading.code(usage.get(name))
        if value not in STANDARD:
            return value
    return reading.code(usage.get("service_tier"))


def _error(reply: Reply) -> tuple[str | None, str]:
    try:
        error = reading.mapping(reading.mapping(reply.json()).get("error"))
    except CallFailed:
        return None, ""
    message = error.get("message")
    return reading.code(error.get("type")), message if isinstance(message, str) else ""
