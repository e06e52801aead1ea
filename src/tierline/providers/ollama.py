"""`ollama:` models at OLLAMA_HOST, over Ollama's own /api/chat.

Source of the format: Ollama's API documentation, "Generate a chat message"; for `truncate`, which
it does not document, Ollama's issue 16800 (2026-06-18). Only its own API, not the compatible one,
accepts the context size and reports why an answer ended. It reports no cached tokens and no
refusals.
"""

from collections.abc import Mapping
from typing import Any

from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.providers.capabilities import output_limit, with_catalogue
from tierline.providers.http import failures, reading
from tierline.providers.http.transport import Reply, Transport
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
    TokenLogprob,
    require,
)
from tierline.rules.verdicts import Verdict

FINISHED: Mapping[str, Verdict | None] = {"stop": None, "length": Verdict.TRUNCATED}
CAN = Capabilities(most_logprobs=20)


class Ollama:
    """One Ollama server."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.ollama_host
        key = settings.ollama_api_key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._transport = Transport(
            self._url or "", headers, settings.max_answer_bytes, setting="OLLAMA_HOST"
        )

    def missing(self) -> str | None:
        return None if self._url else "OLLAMA_HOST is not set"

    def capabilities(self, model: str) -> Capabilities:
        return with_catalogue("ollama", model, CAN)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        model = request.model.model
        body = _body(request, self.capabilities(model))
        reply = self._transport.post("api/chat", body, request.timeout_s)
        return read_completion(reply, model)

    def close(self) -> None:
        self._transport.close()


def _body(request: CompletionRequest, can: Capabilities) -> dict[str, Any]:
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "num_predict": output_limit(request.max_tokens, can),
    }
    if request.seed is not None:
        options["seed"] = request.seed
    body: dict[str, Any] = {
        "model": request.model.model,
        "messages": [
            {"role": message.role, "content": message.content} for message in request.messages
        ],
        "stream": False,
        "truncate": False,  # a prompt that is too long is an error and is not shortened
        "options": options,
    }
    if request.json_schema is not None and can.structured_output:
        body["format"] = dict(request.json_schema)
    if request.top_logprobs is not None and can.most_logprobs:
        most = min(request.top_logprobs, can.most_logprobs)
        body |= {"logprobs": True, "top_logprobs": most}
    return body


def read_completion(reply: Reply, requested_model: str) -> Completion:
    """A response of /api/chat as a Completion. Raises CallFailed."""
    if reply.status != 200:
        raise _failed(reply)
    data = reading.mapping(reply.json())
    text = reading.mapping(data.get("message")).get("content")
    if not isinstance(text, str) or data.get("done") is not True:
        raise failures.unreadable(
            reply, "the server's answer lacks required fields of an Ollama chat"
        )
    finish = data.get("done_reason")
    if not isinstance(finish, str) or finish not in FINISHED:
        raise failures.no_answer(reply)
    try:
        logprobs = _logprobs(data.get("logprobs"))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise failures.unreadable(reply, "the server's logprobs cannot be read") from None
    return Completion(
        text=text,
        usage=Usage(
            # It evaluates only what its cache lacks, but counts the whole prompt.
            input_tokens=reading.tokens(data.get("prompt_eval_count")),
            output_tokens=reading.tokens(data.get("eval_count")),
        ),
        finish=FINISHED[finish],
        model=reading.model_id(data.get("model"), requested_model),
        latency_s=reply.latency_s,
        top_logprobs=logprobs,
    )


def _logprobs(data: Any) -> list[list[TokenLogprob]] | None:
    if not data:
        return None
    return [[reading.candidate(one) for one in token["top_logprobs"]] for token in data]


def _failed(reply: Reply) -> CallFailed:
    try:
        error = reading.mapping(reply.json()).get("error")
    except CallFailed:
        error = None
    return failures.failed(reply, None, error if isinstance(error, str) else "")
