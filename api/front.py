"""The outermost layer: the size of a body, the last resort for errors, and the count of requests.

A body over the limit is refused before it is read, or as soon as it has grown too large. What
nobody caught becomes a problem of status 500 and one line in the log, with frames and ids only.
"""

from collections.abc import Mapping

import structlog
from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import of_error, problem
from api.rates import BODY_BYTES, CHARGE
from api.submission import METHOD, PATH
from tierline.logs import frames_of
from tierline.settings import Settings

log = structlog.get_logger(__name__)

PARTS = "/v1/batches/"  # whose bodies are parts of many rows


class TooLarge(Exception):
    """The body grew over the limit while it was read."""


class Front:
    """Wraps the app. Give uvicorn this one."""

    def __init__(
        self, app: ASGIApp, submission: ASGIApp, settings: Settings, requests: Counter
    ) -> None:
        self._app = app
        self._submission = submission
        self._settings = settings
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = scope["path"]
        hot = path == PATH and scope["method"] == METHOD
        app = self._submission if hot else self._app
        limit = self._limit(path)
        length, chunked = _announced(scope)
        scope[BODY_BYTES] = None if chunked else length or 0
        try:
            if length is not None and length > limit:
                await _too_large(limit)(scope, receive, sending)
            elif chunked:
                await app(scope, _bounded(scope, receive, limit), sending)
            else:
                await app(scope, receive, sending)
        except TooLarge:
            if not status:
                await _too_large(limit)(scope, receive, sending)
        except Exception as error:
            # Also reached after Starlette has sent its own 500: it raises again, for the log.
            log.error(
                "request_crashed",
                method=scope["method"],
                route=PATH if hot else _route(scope),
                error=type(error).__name__,
                at=frames_of(error),
            )
            if not status:
                await of_error(error)(scope, receive, sending)
        self._requests.labels(
            scope["method"], PATH if hot else _route(scope), str(status or "none")
        ).inc()

    def _limit(self, path: str) -> int:
        config = self._settings
        return config.max_part_bytes if path.startswith(PARTS) else config.max_body_bytes


def _announced(scope: Scope) -> tuple[int | None, bool]:
    """The Content-Length, and whether the body comes in chunks instead."""
    length = None
    chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == b"transfer-encoding":
            chunked = True
    return length, chunked


def _bounded(scope: Scope, receive: Receive, limit: int) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        size = len(message.get("body", b""))
        seen += size
        if CHARGE in scope:
            scope[CHARGE](size)
        if seen > limit:
            raise TooLarge
        return message

    return receiving


def _too_large(limit: int) -> ASGIApp:
    headers: Mapping[str, str] = {"Connection": "close"}
    return problem("body-too-large", f"a body here has at most {limit:,} bytes", headers=headers)


def _route(scope: Scope) -> str:
    """The path's template: a label of few values, unlike the path."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))
