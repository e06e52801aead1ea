"""Google's generateContent, the common format of AI Studio and Vertex.

Source of the format: Google's API reference, "GenerateContentResponse" and "GenerationConfig", and
the types of its client. `gemini` and `vertex` send the requests.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from tierline.base.usage import Usage
from tierline.providers.capabilities import output_limit, with_catalogue
from tierline.providers.http import failures, reading
from tierline.providers.http.transport import Reply
from tierline.providers.schemas import for_gemini
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
    TokenLogprob,
)
from tierline.rules.causes import Cause
from tierline.rules.circuits import MOST_RETRY_AFTER_S
from tierline.rules.verdicts import Verdict

FINISHED: Mapping[str, Verdict | None] = {
    "STOP": None,
    "MAX_TOKENS": Verdict.TRUNCATED,
    "SAFETY": Verdict.REFUSED,
    "RECITATION": Verdict.REFUSED,
    "BLOCKLIST": Verdict.REFUSED,
    "PROHIBITED_CONTENT": Verdict.REFUSED,
    "SPII": Verdict.REFUSED,
    "MODEL_ARMOR": Verdict.REFUSED,
    "LANGUAGE": Verdict.REFUSED,  # the model does not support the language
}  # OTHER, MALFORMED_RESPONSE and those of tools and images are not answers
BLOCKED = frozenset(
    {"SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR", "JAILBREAK"}
)
ROLES = {"user": "user", "assistant": "model"}
TRAFFIC = {  # Vertex's name → AI Studio's service tier
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
}

_VERSION = re.compile(r"gemini-(?P<major>[0-9]{1,2})(?:\.(?P<minor>[0-9]{1,2}))?(?:-|$)")
_WAIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")  # protobuf's Duration as JSON
THINKS_SINCE = (2, 5)  # first version that thinks by default
LEVELS = ("low", "medium", "high")  # values of the thinking level
# first version with levels; older ones take a number of tokens, which is not used here
LEVELS_SINCE = (3, 0)
SERVICE_TIERS = ("flex", "priority", "standard")
NO_LOGPROBS_SINCE = (3, 5)  # first version


def _version(model: str) -> tuple[int, int] | None:
    match = _VERSION.match(model)
    return (int(match["major"]), int(match["minor"] or 0)) if match else None


def gives_logprobs(model: str) -> bool:
    """Whether Vertex gives a model's logprobs. It refuses them for Gemini 3.5 Flash
    (github.com/GoogleCloudPlatform/generative-ai/issues/2947, read 2026-11-26), so no newer model
    is assumed to have them."""
    version = _version(model)
    return version is None or version < NO_LOGPROBS_SINCE


def capabilities(provider: str, model: str, *, most_logprobs: int) -> Capabilities:
    """What Gemini models can do, by the version in their name. Gemma models have none of it."""
    version = _version(model)
    thinks = model.startswith("gemini") and (version is None or version >= THINKS_SINCE)
    return with_catalogue(
        provider,
        model,
        Capabilities(
            structured_output=not model.startswith("gemma"),
            most_logprobs=most_logprobs,
            reasoning=thinks,
            efforts=_levels(model, version),
            service_tiers=SERVICE_TIERS,
        ),
    )


def _levels(model: str, version: tuple[int, int] | None) -> tuple[str, ...]:
    """The thinking levels of a model. Sources, read 2026-11-27: hexdocs.pm/gemini_ex, ThinkingLevel
    (Gemini 3); docs.rs/adk-model, ThinkingLevel (3.1 Pro takes no minimal). For later models,
    minimal is not known.
    """
    if version is None or version < LEVELS_SINCE:
        return ()
    if version == LEVELS_SINCE:
        return ("minimal", *LEVELS) if "flash" in model else ("low", "high")
    return LEVELS


def body_of(request: CompletionRequest, can: Capabilities) -> dict[str, Any]:
    """The request body, with the instructions in their own field."""
    system = "\n\n".join(one.content for one in request.messages if one.role == "system")
    config: dict[str, Any] = {
        "maxOutputTokens": output_limit(request.max_tokens, can, request.reasoning_effort),
    }
    if can.temperature:
        config["temperature"] = request.temperature
    if request.seed is not None and can.seed:
        config["seed"] = request.seed
    if request.top_logprobs is not None and can.most_logprobs:
        config |= {
            "responseLogprobs": True,
            "logprobs": min(request.top_logprobs, can.most_logprobs),
        }
    if request.json_schema is not None and can.structured_output:
        config["responseMimeType"] = "application/json"
        schema = for_gemini(request.json_schema)
        if schema is not None:
            config["responseJsonSchema"] = schema
    if request.reasoning_effort is not None and request.reasoning_effort in can.efforts:
        config["thinkingConfig"] = {"thinkingLevel": request.reasoning_effort.upper()}
    body: dict[str, Any] = {
        "contents": [
            {"role": ROLES[one.role], "parts": [{"text": one.content}]}
            for one in request.messages
            if one.role != "system"
        ],
        "generationConfig": config,
    }
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}], "role": "user"}
    if request.service_tier in can.service_tiers:
        body["serviceTier"] = request.service_tier
    return body


def read_completion(reply: Reply, requested_model: str) -> Completion:
    """A server's answer as a Completion. Raises CallFailed if it is not one."""
    if reply.status != 200:
        raise _failed(reply)
    data = reading.mapping(reply.json())
    candidates = data.get("candidates")
    text, logprobs = "", None
    if isinstance(candidates, list) and candidates:
        candidate = reading.mapping(candidates[0])
        finish = candidate.get("finishReason")
        if not isinstance(finish, str) or finish not in FINISHED:
            raise failures.no_answer(reply)
        verdict = FINISHED[finish]
        try:
            text = _text(candidate)
            logprobs = _logprobs(candidate.get("logprobsResult"))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            raise failures.unreadable(reply, "the candidate cannot be read") from None
    else:
        _require_blocked(reply, data)
        verdict = Verdict.REFUSED
    usage = data.get("usageMetadata")
    return Completion(
        text=text,
        usage=usage_of(usage),
        finish=verdict,
        model=reading.model_id(data.get("modelVersion"), requested_model),
        latency_s=reply.latency_s,
        provider_request_id=reading.request_id(data.get("responseId")),
        service_tier=_service_tier(reply, reading.mapping(usage)),
        top_logprobs=logprobs,
    )


def _require_blocked(reply: Reply, data: Mapping[str, Any]) -> None:
    """Raises CallFailed unless the prompt was blocked, in which case there is no candidate."""
    reason = reading.mapping(data.get("promptFeedback")).get("blockReason")
    if reason in BLOCKED:
        return
    if reason is not None:
        raise failures.no_answer(reply)
    raise failures.unreadable(reply, "the server's answer lacks required fields of generateContent")


def _text(candidate: Mapping[str, Any]) -> str:
    """The visible text, without thoughts."""
    content = candidate.get("content") or {}
    parts = content.get("parts") or []
    return "".join(one["text"] for one in parts if "text" in one and one.get("thought") is not True)


def usage_of(data: Any) -> Usage | None:
    """Google includes cached input in the prompt, and counts tool input and thoughts separately.
    Zero counts may be missing. Without a prompt count there is no usage."""
    if not isinstance(data, dict):
        return None
    cached = reading.tokens(data.get("cachedContentTokenCount"))
    prompt = reading.tokens(data.get("promptTokenCount"))
    of_tools = reading.tokens(data.get("toolUsePromptTokenCount")) or 0
    new = reading.rest(prompt, cached)
    visible = reading.tokens(data.get("candidatesTokenCount", 0))
    return Usage(
        input_tokens=None if new is None else new + of_tools,
        output_tokens=None if prompt is None else visible,
        cached_input_tokens=None if new is None else cached,
        reasoning_tokens=reading.tokens(data.get("thoughtsTokenCount")),
    )


def _service_tier(reply: Reply, usage: Mapping[str, Any]) -> str | None:
    """AI Studio reports it in a header ("Priority inference", read 2026-11-25), Vertex as traffic
    type.
    """
    traffic = usage.get("trafficType")
    if isinstance(traffic, str) and traffic in TRAFFIC:
        return TRAFFIC[traffic]
    tier = reading.code(reply.headers.get("x-gemini-service-tier") or traffic)
    return None if tier is None else tier.lower()


def _logprobs(data: Any) -> list[list[TokenLogprob]] | None:
    if not data or not data.get("topCandidates"):
        return None
    return [
        [_candidate(one) for one in token.get("candidates", ())] for token in data["topCandidates"]
    ]


def _candidate(one: Mapping[str, Any]) -> TokenLogprob:
    logprob = float(one.get("logProbability", 0.0))  # protobuf omits a zero
    if math.isnan(logprob):
        raise ValueError("a logprob is not a number")
    return TokenLogprob(str(one["token"]), logprob)


def _failed(reply: Reply) -> CallFailed:
    try:
        data = reply.json()
    except CallFailed:
        data = None
    if isinstance(data, list) and data:  # errors of a stream come as a list
        data = data[0]
    error = reading.mapping(reading.mapping(data).get("error"))
    message = error.get("message")
    details = error.get("details")
    cause, wait_s = _error_details(reply.status, details if isinstance(details, list) else [])
    return failures.failed(
        reply,
        reading.code(error.get("status")),
        message if isinstance(message, str) else "",
        cause=cause,
        retry_after_s=wait_s,
    )


def _error_details(status: int, details: list[Any]) -> tuple[Cause | None, float | None]:
    """The cause and the wait in google.rpc's error details, where they say more than the status."""
    cause, wait_s = None, None
    for detail in map(reading.mapping, details):
        kind = str(detail.get("@type", "")).rpartition(".")[2]
        if kind == "RetryInfo":
            delay = _WAIT.fullmatch(str(detail.get("retryDelay", "")))
            wait_s = min(float(delay[1]), MOST_RETRY_AFTER_S) if delay else wait_s
        elif kind == "QuotaFailure" and status == 429 and _is_daily_quota(detail):
            cause = Cause.QUOTA
        elif kind == "ErrorInfo" and detail.get("reason") == "API_KEY_INVALID":
            cause = Cause.KEY  # with HTTP 400
    return cause, wait_s


def _is_daily_quota(quota: Mapping[str, Any]) -> bool:
    violations = quota.get("violations")
    if not isinstance(violations, list):
        return False
    return any("PerDay" in str(reading.mapping(one).get("quotaId")) for one in violations)
