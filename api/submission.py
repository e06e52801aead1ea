"""POST /v1/jobs as a plain ASGI app: the one hot route, without the framework's dependencies.

The framework spends as long on a request as all of our own work does (measured: 0.65 of a
hand-written endpoint's rate became what `python -m benchmarks.submit` says). The route of the same
path in `api.routes.jobs.jobs` is what OpenAPI describes; it calls the same `take_in`.
"""

from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from api.auth import authorise
from api.problems import of_error
from api.routes.jobs.jobs import take_in
from api.state import State

PATH = "/v1/jobs"
METHOD = "POST"


class Submission:
    """`state` gives the app's state once it has started."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization = content_type = key = prefer = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-type":
                content_type = value
            elif name == b"idempotency-key":
                key = value
            elif name == b"prefer":
                prefer = value if prefer is None else b"%b, %b" % (prefer, value)
        try:
            state = self._state()
            caller = await authorise(state, scope, _text(authorization), "submit")
            body = await _body(receive)
            response = await take_in(
                state, caller, body, _text(content_type), _text(key), _text(prefer)
            )
        except Exception as error:
            response = of_error(error)
            if response.status_code == 500:
                raise  # the front logs it and answers
        await response(scope, receive, send)


async def _body(receive: Receive) -> bytes:
    message: Message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
