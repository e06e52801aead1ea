"""The outermost layer: the size of a body and its time, the last resort for errors, what no answer
goes without, and the count of requests.

A body over the limit is refused before it is read, or as soon as it has grown too large; one that
drips is refused when its time is over. What nobody caught becomes a problem of status 500 and one
line in the log, with frames and ids only.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog
from prometheus_client import Counter
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.hosts import host_fault
from api.problems import Refused, of_error
from api.rates import BODY_BYTES, CHARGE
from tierline.base.logs import frames_of
from tierline.base.settings import Settings

log = structlog.get_logger(__name__)

PARTS = "/v1/batches/"  # whose bodies are parts of many rows
LARGE = ("/micro-models", "/datasets")  # … and here thousands of embeddings, or of rows


PRIVATE = (b"cache-control", b"no-store")  # answers are an account's own, refusals too
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
IDENTITY = (b"tierline-api", b"v1")  # a client tells by it that no other web server answers
PUBLIC = ("/docs", "/swagger/", "/openapi.json")  # the same for everybody


class Front:
    """Wraps the app. Give uvicorn this one."""

    def __init__(
        self,
        app: ASGIApp,
        hot: Mapping[tuple[str, str], Route],
        settings: Settings,
        requests: Counter,
        stop: Callable[[], None],
    ) -> None:
        self.app = app
        self._hot = hot  # by method and path: routes that need neither middleware nor the router
        self._settings = settings
        self._requests = requests
        self.stop = stop  # what takes long and need not be finished; called when a stop begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        path = scope["path"]

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _guarded(message.get("headers", ()), path)
            await send(message)

        app = self.app
        hot = self._hot.get((scope["method"], path))
        if hot is not None:
            scope["app"], scope["route"] = self.app, hot
            app = hot.handle
        limit = self._limit(path)
        length, chunked = _announced(scope)
        scope[BODY_BYTES] = None if chunked else length or 0
        wrong_host = host_fault(scope)
        try:
            if wrong_host is not None:
                await _refused("bad-request", wrong_host).response()(scope, receive, sending)
            elif length is not None and length > limit:
                await _too_large(limit).response()(scope, receive, sending)
            elif chunked or length:
                bounded = _bounded(scope, receive, limit, self._settings.max_body_s)
                await app(scope, bounded, sending)
            else:
                await app(scope, receive, sending)
        except Exception as error:
            # Also reached after Starlette has sent its own 500: it raises again, for the log.
            log.error(
                "request_crashed",
                method=scope["method"],
                route=_route(scope),
                error=type(error).__name__,
                at=frames_of(error),
            )
            if not status:
                await of_error(error)(scope, receive, sending)
        self._requests.labels(scope["method"], _route(scope), str(status or "none")).inc()

    def _limit(self, path: str) -> int:
        config = self._settings
        large = path.startswith(PARTS) or path.endswith(LARGE)
        return config.max_part_bytes if large else config.max_body_bytes


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


def _bounded(scope: Scope, receive: Receive, limit: int, within_s: float) -> Receive:
    """`receive` that raises Refused for a body over `limit` bytes, or not whole in `within_s`.

    The time counts from the first read, which comes after the key was found good.
    """
    seen = 0
    whole = False
    until: float | None = None

    async def receiving() -> Message:
        nonlocal seen, whole, until
        if whole:  # what comes now is the caller's hanging up, whenever it does
            return await receive()
        until = until or asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise _refused(
                "body-too-slow", f"the body was not here within {within_s:g} s"
            ) from None
        whole = not message.get("more_body", False)
        size = len(message.get("body", b""))
        seen += size
        if CHARGE in scope:
            scope[CHARGE](size)
        if seen > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Refused:
    return _refused("body-too-large", f"a body here has at most {limit:,} bytes")


def _refused(slug: str, detail: str) -> Refused:
    # The rest of the body is not waited for, so that nothing can follow it on the connection.
    return Refused(slug, detail, headers={"Connection": "close"})


def _guarded(headers: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with those that none goes without."""
    guarded = [*headers, NO_SNIFFING, IDENTITY]
    if not path.startswith(PUBLIC) and not any(name == PRIVATE[0] for name, _ in guarded):
        guarded.append(PRIVATE)
    return guarded


def _route(scope: Scope) -> str:
    """The path's template: a label of few values, unlike the path."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))
