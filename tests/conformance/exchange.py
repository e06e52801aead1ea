"""One exchange with a loopback server that records it: what was sent, as a vendor's client and as
the product send it, and what each made of the same answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from tests.support.fake_servers.model_server import Call, ModelServer, Reply
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.types import CallFailed, Completion, CompletionRequest, Provider

Found = TypeVar("Found")

KEY = "not-a-real-key"
SYSTEM = "Name the animal."
QUESTION = "It barks."
SCHEMA = {
    "type": "object",
    "properties": {"animal": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["animal", "sure"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Sent:
    """A request, as far as it matters."""

    method: str
    path: str
    headers: Mapping[str, str | None]
    body: Mapping[str, Any]


def sent(call: Call, headers: tuple[str, ...]) -> Sent:
    chosen = {name: call.headers.get(name) for name in ("content-type", *headers)}
    return Sent(call.method, call.path, chosen, call.body)


def answer(body: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(raw=json.dumps(body).encode(), status=status, headers=named)


def request(model: str, **changes: Any) -> CompletionRequest:
    values: dict[str, Any] = {
        "model": ModelRef("any", model),
        "messages": [Message("system", SYSTEM), Message("user", QUESTION)],
        "max_tokens": 50,
        "temperature": 0.5,
        "timeout_s": 30.0,
    }
    return CompletionRequest(**values | changes)


def both(
    server: ModelServer,
    reply: Reply,
    client: Callable[[], Found],
    provider: Provider,
    asked: CompletionRequest,
    headers: tuple[str, ...],
) -> tuple[Found, Completion]:
    """What the vendor's client and the product made of one answer, having sent the same."""
    server.answer = lambda _: reply
    theirs = client()
    ours = provider.complete(asked)
    provider.close()
    first, second = server.calls
    assert sent(second, headers) == sent(first, headers)
    return theirs, ours


def refused(
    server: ModelServer, reply: Reply, provider: Provider, asked: CompletionRequest
) -> CallFailed:
    """How the product took an error."""
    server.answer = lambda _: reply
    with pytest.raises(CallFailed) as raised:
        provider.complete(asked)
    provider.close()
    assert KEY not in repr(raised.value)
    return raised.value
