"""OpenAI's Chat Completions, which many servers implement with small differences.

Source of the format: OpenAI's API reference, "Create chat completion". A Dialect describes one
server's differences; it is defined in that provider's file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tierline.base.recent import CachedByIdentity
from tierline.base.usage import Usage
from tierline.providers.capabilities import output_limit
from tierline.providers.http import failures, reading
from tierline.providers.http.transport import Reply
from tierline.providers.schemas import Schema, SentSchema, for_openai
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
    TokenLogprob,
)
from tierline.rules.verdicts import Verdict

FINISHED: Mapping[str, Verdict | None] = {
    "stop": None,
    "length": Verdict.TRUNCATED,
    "content_filter": Verdict.REFUSED,
}
SERVICE_TIERS = {"standard": "default"}  # our word → the format's word, where they differ
BLOCKED = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
"""Error codes of a 400 after which the prompt was moderated and not answered."""

_for_openai = CachedByIdentity(for_openai)  # each job of a feature sends the same schema


@dataclass(frozen=True)
class Dialect:
    """How one server's Chat Completions differ from OpenAI's."""

    limit: str = "max_tokens"  # the field that limits the output
    seed: str = "seed"
    # the schema as its structured output accepts it
    schema: Callable[[Schema], SentSchema | None] = _for_openai
    extra: Mapping[str, Any] = field(default_factory=dict)  # sent with each request
    finished: Mapping[str, Verdict | None] = field(default_factory=lambda: FINISHED)
    request_id: str = "x-request-id"  # the header with the request id, for the provider's support


class Server(Protocol):
    """Where requests go: one address, or several equivalent ones."""

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Reply: ...


def ask(
    server: Server,
    request: CompletionRequest,
    dialect: Dialect,
    can: Capabilities,
    path: str = "chat/completions",
) -> Completion:
    """One call, from the request to the answer. Raises CallFailed if there is no answer."""
    reply = server.post(path, body_of(request, dialect, can), request.timeout_s)
    return read_completion(reply, request.model.model, dialect)


def body_of(request: CompletionRequest, dialect: Dialect, can: Capabilities) -> dict[str, Any]:
    """The request body for that server. Parameters that the model does not accept are left out."""
    body: dict[str, Any] = {
        "model": request.model.model,
        "messages": [
            {"role": message.role, "content": message.content} for message in request.messages
        ],
        dialect.limit: output_limit(request.max_tokens, can, request.reasoning_effort),
        **dialect.extra,
    }
    if can.temperature:
        body["temperature"] = request.temperature
    if request.json_schema is not None and can.structured_output:
        body |= _response_format(request.json_schema, dialect)
    if request.top_logprobs is not None and can.most_logprobs:
        most = min(request.top_logprobs, can.most_logprobs)
        body |= {"logprobs": True, "top_logprobs": most}
    if request.seed is not None and can.seed:
        body[dialect.seed] = request.seed
    if request.reasoning_effort in can.efforts:
        body["reasoning_effort"] = request.reasoning_effort
    if request.service_tier is not None and request.service_tier in can.service_tiers:
        body["service_tier"] = SERVICE_TIERS.get(request.service_tier, request.service_tier)
    return body


def _response_format(schema: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    converted = dialect.schema(schema)
    if converted is None:
        return {}
    sent_schema, strict = converted
    form = {"name": "answer", "schema": sent_schema, "strict": strict}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def read_completion(reply: Reply, requested_model: str, dialect: Dialect) -> Completion:
    """A server's answer as a Completion. Raises CallFailed if it is not one."""
    if reply.status != 200:
        return _read_refusal(reply, requested_model, dialect)
    data = reply.json()
    try:
        choice = data["choices"][0]
        message = choice["message"]
        text = _text(message.get("content"))
        finish = choice.get("finish_reason")
        logprobs = _logprobs(choice.get("logprobs"))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
        reason = "the server's answer lacks required fields of a chat completion"
        raise failures.unreadable(reply, reason) from None
    if message.get("refusal"):
        verdict: Verdict | None = Verdict.REFUSED
    elif isinstance(finish, str) and finish in dialect.finished:
        verdict = dialect.finished[finish]
    else:
        raise failures.no_answer(reply)
    return Completion(
        text=text,
        usage=usage_of(data.get("usage")),
        finish=verdict,
        model=reading.model_id(data.get("model"), requested_model),
        latency_s=reply.latency_s,
        provider_request_id=_request_id(reply, dialect),
        service_tier=reading.code(data.get("service_tier")),
        top_logprobs=logprobs,
    )


def _text(content: Any) -> str:
    """The visible text. Mistral's reasoning models return chunks, and some of them are thoughts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(one["text"] for one in content if one["type"] == "text")
    raise TypeError("the answer is not text")


def usage_of(data: Any) -> Usage | None:
    """OpenAI includes cached and cache-written input in the prompt, and reasoning in the output."""
    if not isinstance(data, Mapping):
        return None
    prompt_details = reading.mapping(data.get("prompt_tokens_details"))
    made_details = reading.mapping(data.get("completion_tokens_details"))
    cached = reading.tokens(prompt_details.get("cached_tokens"))
    written = reading.tokens(prompt_details.get("cache_write_tokens"))
    reasoning = reading.tokens(made_details.get("reasoning_tokens"))
    new = reading.rest(reading.tokens(data.get("prompt_tokens")), cached, written)
    visible = reading.rest(reading.tokens(data.get("completion_tokens")), reasoning)
    return Usage(
        input_tokens=new,
        output_tokens=visible,
        # A part that is larger than the whole is ignored.
        cached_input_tokens=None if new is None else cached,
        cache_write_5m_tokens=None if new is None else written,
        reasoning_tokens=None if visible is None else reasoning,
    )


def _request_id(reply: Reply, dialect: Dialect) -> str | None:
    return reading.request_id(reply.headers.get(dialect.request_id))


def _logprobs(data: Any) -> list[list[TokenLogprob]] | None:
    if not isinstance(data, Mapping) or not data.get("content"):
        return None
    return [[reading.candidate(one) for one in token["top_logprobs"]] for token in data["content"]]


def _read_refusal(reply: Reply, requested_model: str, dialect: Dialect) -> Completion:
    code, message = error_of(reply)
    if reply.status == 400 and code in BLOCKED:
        return Completion(
            text="",
            usage=None,  # moderation of the prompt may be billed, but no usage is reported
            finish=Verdict.REFUSED,
            model=requested_model,
            latency_s=reply.latency_s,
            provider_request_id=_request_id(reply, dialect),
        )
    raise failures.failed(reply, code, message)


def error_of(reply: Reply) -> tuple[str | None, str]:
    """The error's code and message, wherever a server of this format puts them."""
    try:
        data = reading.mapping(reply.json())
    except CallFailed:
        return None, ""
    error = data.get("error")
    error = error if isinstance(error, dict) else data
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    message = error.get("message")
    return reading.code(code), message if isinstance(message, str) else ""
