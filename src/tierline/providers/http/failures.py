"""What an HTTP error status means for a job, for all wire formats.

The provider's error code decides if the status alone is ambiguous. The provider's message is
searched but never repeated, because it may quote the input or the key.
"""

import re

from tierline.providers.http.transport import Reply, requested_wait_s
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

NOT_PROCESSED = frozenset({409, 425, 503, 529})  # the server did nothing for the request
QUOTA_CODES = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),  # OpenAI
        "billing_error",  # Anthropic
    }
)
CONTEXT_CODES = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Azure
        "exceed_context_size_error",  # llama.cpp
        "request_too_large",  # Anthropic, with 413
    }
)
MODEL_CODES = frozenset({"model_not_found", "DeploymentNotFound", "not_found_error"})
TOO_LONG = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long"
    r"|too large for model|input token count|exceeds the (?:maximum|available)",
    re.IGNORECASE,
)
NO_CREDIT = re.compile(r"credit balance|out of credits|quota.{0,20}exhausted", re.IGNORECASE)
SHOULD_RETRY = {"true": True, "false": False}  # values of x-should-retry


def failed(
    reply: Reply,
    code: str | None,
    message: str = "",
    *,
    cause: Cause | None = None,
    retry_after_s: float | None = None,
) -> CallFailed:
    """The failure for a status other than 200.

    `message` is searched only. `cause` and `retry_after_s` come from the provider's error body.
    """
    if cause is None:
        cause, _ = cause_of(reply.status, code, message)
    wait_s = requested_wait_s(reply.headers)
    status = f"HTTP {reply.status}" + (f", {code}" if code else "")
    return CallFailed(
        cause,
        f"{WORDS[cause]} ({status})",
        retry_after_s=retry_after_s if wait_s is None else wait_s,
        should_retry=SHOULD_RETRY.get(reply.headers.get("x-should-retry", "")),
        latency_s=reply.latency_s,
    )


WORDS = {
    Cause.QUOTA: "the account's quota is used up",
    Cause.RATE_LIMITED: "the server's rate limit is reached",
    Cause.OVERLOADED: "the server failed",
    Cause.SERVER: "the server failed",
    Cause.KEY: "the server refused the key",
    Cause.CONTEXT: "the input is longer than the model's context",
    Cause.MODEL: "the server has no such model",
    Cause.REQUEST: "the server refused the request",
    Cause.NOT_CONFIGURED: "the server redirects, which is not followed; set its new address",
}


def cause_of(status: int, code: str | None, message: str = "") -> tuple[Cause, str]:
    """The cause of the failure, and its text."""
    cause = _cause(status, code, message)
    return cause, WORDS[cause]


def _cause(status: int, code: str | None, message: str) -> Cause:
    if status == 402 or code in QUOTA_CODES:
        return Cause.QUOTA
    if status == 429:
        return Cause.RATE_LIMITED
    if status in NOT_PROCESSED:
        return Cause.OVERLOADED
    if status == 408 or status >= 500:
        return Cause.SERVER
    if 300 <= status < 400:
        return Cause.NOT_CONFIGURED
    if status in {401, 403}:
        return Cause.KEY
    if code in CONTEXT_CODES or (status in {400, 413, 422} and TOO_LONG.search(message)):
        return Cause.CONTEXT
    if status == 404 or code in MODEL_CODES:
        return Cause.MODEL
    if status == 400 and NO_CREDIT.search(message):
        return Cause.QUOTA
    return Cause.REQUEST


def no_answer(reply: Reply) -> CallFailed:
    """The model stopped for an unknown reason, or for one without an answer."""
    return CallFailed(
        Cause.NO_ANSWER,
        "the model stopped without an answer",
        latency_s=reply.latency_s,
    )


def unreadable(reply: Reply, reason: str) -> CallFailed:
    """The body is not an answer in this format."""
    return CallFailed(Cause.UNREADABLE, reason, latency_s=reply.latency_s)
