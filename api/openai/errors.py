"""Errors in OpenAI's form: `{"error": {"message", "type", "param", "code"}}`.

The routes here raise the same errors as all others, which become problem details. This module turns
each problem into OpenAI's form on its way out, so that no refusal is missed: neither those of the
front nor those of a path that does not exist.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Message, Send

PREFIX = "/openai/"
ROOT = "/openai/v1"
_PROBLEM = b"application/problem+json"
_SLUG = "urn:tierline:problem:"
_STATUSES = {"unknown-feature": 404}  # a model that does not exist
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_INDEX = re.compile(r"/(\d+)(?=/|$)")


def openai_error(status: int, problem: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status and the body for a problem.

    `code` is the problem's own slug, such as budget-spent. A request that is not valid has status
    400, as OpenAI's clients expect, where the rest of the API answers 422.
    """
    code = str(problem.get("type", "")).removeprefix(_SLUG) or "internal"
    status = _STATUSES.get(code, 400 if status == 422 else status)
    error = {
        "message": str(problem.get("detail") or problem.get("title") or "the request failed"),
        "type": _type(status, code),
        "param": _param(problem.get("errors") or ()),
        "code": code,
    }
    return status, {"error": error}


def _type(status: int, code: str) -> str:
    if code == "budget-spent":
        return "insufficient_quota"
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _param(errors: Iterable[Mapping[str, Any]]) -> str | None:
    """The field of the first error, as OpenAI writes it: input[0].content."""
    path = next((str(one.get("path", "")) for one in errors), "")
    if path.startswith("?"):
        return path.removeprefix("?")
    if not path.startswith("/"):
        return None
    return _INDEX.sub(r"[\1]", path).removeprefix("/").replace("/", ".")


def in_openai_form(send: Send) -> Send:
    """`send` that turns each problem into OpenAI's form and passes on everything else."""
    held: Message | None = None
    parts: list[bytes] = []

    async def sending(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and _is_problem(message):
            held = message
        elif held is None:
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                start, body = _translated(held, b"".join(parts))
                held = None
                await send(start)
                await send({"type": "http.response.body", "body": body})

    return sending


def _is_problem(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(_PROBLEM)
        for name, value in start.get("headers", ())
    )


def _translated(start: Message, raw: bytes) -> tuple[Message, bytes]:
    status, error = openai_error(start["status"], json.loads(raw))
    body = json.dumps(error, ensure_ascii=False).encode("utf-8", "replace")
    headers = [
        (name, value)
        for name, value in start["headers"]
        if name.lower() not in (b"content-type", b"content-length")
    ]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 409:  # OpenAI's clients would repeat it, but the state does not change by itself
        headers.append((b"x-should-retry", b"false"))
    return {**start, "status": status, "headers": headers}, body
