"""OpenAI's Chat Completions, and every server that speaks it.

Source of the format: OpenAI's API reference, "Create chat completion".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tierline.providers.transport import Reply, Transport, asked_wait_s
from tierline.providers.types import (
    CallFailed,
    Cause,
    Completion,
    CompletionRequest,
    TokenLogprob,
    Usage,
)
from tierline.settings import Settings
from tierline.verdicts import Verdict

OPENAI_HOST = "api.openai.com"
MOST_LOGPROBS = 20
REASONS = re.compile(r"(gpt-5(?!.*chat)|o[134])")  # models that think first: no temperature
REASONING_ALLOWANCE = 4096  # tokens on top of max_tokens, so that thought leaves room for an answer
ASKS_AGAIN = frozenset({409, 425, 503, 529})  # before anything was done for the request
CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
MODEL_ID = re.compile(r"[!-~]{1,200}")  # what an answer says of itself and is kept
MOST_TOKENS = 100_000_000  # of one call; no model comes near
SHOULD_RETRY = {"true": True, "false": False}  # what x-should-retry may say
SAFE_CODE = re.compile(r"[a-z0-9_.-]{1,60}")
FINISHED: Mapping[object, Verdict | None] = {
    "stop": None,
    "length": Verdict.TRUNCATED,
    "content_filter": Verdict.REFUSED,
}


class OpenAIChat:
    """`openai:` models, by OPENAI_BASE_URL and OPENAI_API_KEY."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.openai_api_key
        self._is_openai = urlsplit(settings.openai_base_url).hostname == OPENAI_HOST
        headers = {}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        self._transport = Transport(settings.openai_base_url, headers, settings.max_answer_bytes)

    def missing(self) -> str | None:
        if self._key is None and self._is_openai:
            return "OPENAI_API_KEY is not set"
        return None

    def complete(self, request: CompletionRequest) -> Completion:
        missing = self.missing()
        if missing is not None:
            raise CallFailed(Cause.NOT_CONFIGURED, missing)
        body = chat_body(request, most_logprobs=MOST_LOGPROBS)
        if self._is_openai:
            body["max_completion_tokens"] = body.pop("max_tokens")
        if REASONS.match(request.model.model):
            limit = "max_completion_tokens" if self._is_openai else "max_tokens"
            body[limit] += REASONING_ALLOWANCE
            for name in ("temperature", "seed", "logprobs", "top_logprobs"):
                body.pop(name, None)
        reply = self._transport.post("chat/completions", body, request.timeout_s)
        return read_completion(reply, request.model.model)

    def close(self) -> None:
        self._transport.close()


def chat_body(request: CompletionRequest, *, most_logprobs: int) -> dict[str, Any]:
    """The request as every server of this format takes it."""
    body: dict[str, Any] = {
        "model": request.model.model,
        "messages": [
            {"role": message.role, "content": message.content} for message in request.messages
        ],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.json_schema is not None:
        schema = dict(request.json_schema)
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": fits_strict(schema)},
        }
    if request.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": min(request.top_logprobs, most_logprobs)}
    if request.seed is not None:
        body["seed"] = request.seed
    return body


def fits_strict(schema: Any) -> bool:
    """Whether strict mode takes the schema: closed objects whose properties are all required.

    What does not fit is sent without strict: the model is shown it, and the check decides.
    """
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return all(fits_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required", ())
        if schema.get("additionalProperties") is not False:
            return False
        if set(properties or ()) != set(required):
            return False
    return all(fits_strict(value) for key, value in schema.items() if key not in {"enum", "const"})


def read_completion(reply: Reply, asked_model: str) -> Completion:
    """A server's answer as a Completion. Raises CallFailed for every answer that is none."""
    if reply.status != 200:
        raise _refusal(reply)
    data = reply.json()
    try:
        choice = data["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        finish = choice.get("finish_reason")
        model = _model_id(data.get("model"), asked_model)
        usage = _usage(data.get("usage"))
        logprobs = _logprobs(choice.get("logprobs"))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
        raise CallFailed(
            Cause.UNREADABLE,
            "the server's answer lacks what a chat completion has",
            latency_s=reply.latency_s,
        ) from None
    if message.get("refusal"):
        verdict: Verdict | None = Verdict.REFUSED
    elif finish in FINISHED:
        verdict = FINISHED[finish]
    else:
        raise CallFailed(
            Cause.NO_ANSWER,
            "the model stopped for a reason that is no answer",
            latency_s=reply.latency_s,
        )
    if not isinstance(text, str):
        raise CallFailed(Cause.UNREADABLE, "the answer is not text", latency_s=reply.latency_s)
    return Completion(
        text=text,
        usage=usage,
        finish=verdict,
        model=model,
        latency_s=reply.latency_s,
        provider_request_id=_request_id(reply.headers.get("x-request-id")),
        service_tier=_service_tier(data.get("service_tier")),
        top_logprobs=logprobs,
    )


def _usage(data: Any) -> Usage | None:
    if not isinstance(data, Mapping):
        return None
    prompt = _tokens(data.get("prompt_tokens"))
    cached = _tokens((data.get("prompt_tokens_details") or {}).get("cached_tokens"))
    reasoning = _tokens((data.get("completion_tokens_details") or {}).get("reasoning_tokens"))
    if prompt is not None and cached is not None and cached > prompt:
        prompt = cached = None  # what is more than the whole is no part of it
    made = _tokens(data.get("completion_tokens"))
    if made is not None and reasoning is not None and reasoning > made:
        made = reasoning = None
    return Usage(
        input_tokens=None if prompt is None else prompt - (cached or 0),
        output_tokens=None if made is None else made - (reasoning or 0),
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
    )


def _tokens(count: Any) -> int | None:
    """A count that can be one; None for what cannot, so that no answer makes its own price."""
    if count is None:
        return None
    found = int(count)
    return found if 0 <= found <= MOST_TOKENS else None


def _model_id(said: Any, asked_model: str) -> str:
    return said if isinstance(said, str) and MODEL_ID.fullmatch(said) else asked_model


def _request_id(said: str | None) -> str | None:
    return said if said is not None and MODEL_ID.fullmatch(said) else None


def _service_tier(said: Any) -> str | None:
    return said if isinstance(said, str) and SAFE_CODE.fullmatch(said) else None


def _logprobs(data: Any) -> list[list[TokenLogprob]] | None:
    if not isinstance(data, Mapping) or not data.get("content"):
        return None
    return [
        [TokenLogprob(str(one["token"]), float(one["logprob"])) for one in token["top_logprobs"]]
        for token in data["content"]
    ]


def _refusal(reply: Reply) -> CallFailed:
    """What an HTTP status means for the job; words of the provider only where they are a code."""
    code = _error_code(reply)
    status = reply.status
    said = f"HTTP {status}" + (f", {code}" if code else "")
    cause, words = _cause(status, code)
    return CallFailed(
        cause,
        f"{words} ({said})",
        retry_after_s=asked_wait_s(reply.headers),
        should_retry=SHOULD_RETRY.get(reply.headers.get("x-should-retry", "")),
        latency_s=reply.latency_s,
    )


def _cause(status: int, code: str | None) -> tuple[Cause, str]:
    if status == 429:
        if code == "insufficient_quota":
            return Cause.QUOTA, "the account's quota is used up"
        return Cause.RATE_LIMITED, "the server asked to come back later"
    if status in ASKS_AGAIN:
        return Cause.OVERLOADED, "the server failed"
    if status == 408 or status >= 500:
        return Cause.SERVER, "the server failed"
    if status in {401, 403}:
        return Cause.KEY, "the server refused the key"
    if code in CONTEXT_CODES:
        return Cause.CONTEXT, "the input is longer than the model's context"
    if status == 404 or code == "model_not_found":
        return Cause.MODEL, "the server has no such model"
    return Cause.REQUEST, "the server refused the request"


def _error_code(reply: Reply) -> str | None:
    try:
        error = reply.json()["error"]
        code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    except (CallFailed, KeyError, TypeError, AttributeError):
        return None
    return code if isinstance(code, str) and SAFE_CODE.fullmatch(code) else None
