"""The outermost layer: limits on bodies, the last resort for errors, headers that every answer has,
and the count of requests.

A body over the limit is refused before it is read, or as soon as it has grown too large. A body
that arrives too slowly is refused when its time is over. An uncaught error becomes a problem of
status 500 and one line in the log, with frames and ids only.
"""

import asyncio
import os
from collections.abc import Callable, Iterable

import structlog
from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.rates import BODY_BYTES, CHARGE
from api.http.cold import LAG_S
from api.http.hosts import host_fault
from api.http.hot_routes import HotRoutes
from api.http.problems import Refused, of_error
from api.openai.errors import PREFIX as OPENAI
from api.openai.errors import in_openai_form
from tierline.base.logs import frames_of
from tierline.base.settings import Settings

log = structlog.get_logger(__name__)

PARTS = "/v1/batches/"  # bodies here are parts with many rows
FILES = "/openai/v1/files"  # the body here is a file, which is stored as it comes
FORM_BYTES = 16 * 1024  # of the form around a file
LARGE = ("/micro-models", "/datasets", "/jobs:batch", "/batches/new")  # bodies have many rows


PRIVATE = (b"cache-control", b"no-store")  # answers belong to one account, and so do refusals
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
IDENTITY = (b"tierline-api", b"v1")  # tells a client that this is not another web server
REQUEST_ID = b"request-id"  # names an answer in questions to the operator, and a crash in the log
OPENAI_REQUEST_ID = b"x-request-id"  # the same, under the name that OpenAI's clients read
REPLICA_LAG = b"tierline-replica-lag"  # seconds; of answers that were read from the replica
PUBLIC = ("/docs", "/swagger/", "/openapi.json")  # the same for all callers


class Front:
    """Wraps the app. Pass this object to uvicorn."""

    def __init__(
        self,
        app: ASGIApp,
        hot: HotRoutes,
        settings: Settings,
        requests: Counter,
        stop: Callable[[], None],
    ) -> None:
        self.app = app
        self._hot = hot  # they bypass the middleware and the router
        self._settings = settings
        self._requests = requests
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self.stop = stop  # ends long work that need not finish; called when a stop begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        path = scope["path"]
        request_id = os.urandom(8).hex()
        for_openai = path.startswith(OPENAI)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _guarded(message.get("headers", ()), path)
                message["headers"].append((REQUEST_ID, request_id.encode()))
                if for_openai:
                    message["headers"].append((OPENAI_REQUEST_ID, request_id.encode()))
                if scope.get(LAG_S) is not None:
                    message["headers"].append((REPLICA_LAG, f"{scope[LAG_S]:.1f}".encode()))
            await send(message)

        replying = in_openai_form(sending) if for_openai else sending
        app = self.app
        hot = self._hot.find(scope)
        if hot is not None:
            scope["app"], scope["route"] = self.app, hot
            app = hot.handle
        limit, within_s = self._limit(path)
        length, chunked = _announced(scope)
        scope[BODY_BYTES] = None if chunked else length or 0
        wrong_host = host_fault(scope)
        try:
            if wrong_host is not None:
                await _refused("bad-request", wrong_host).response()(scope, receive, replying)
            elif length is not None and length > limit:
                await _too_large(limit).response()(scope, receive, replying)
            elif chunked or length:
                bounded = _bounded(scope, receive, limit, within_s)
                await app(scope, bounded, replying)
            else:
                await app(scope, receive, replying)
        except Exception as error:
            # Also reached after Starlette has sent its own 500, because it raises the error again.
            log.error(
                "request_crashed",
                method=scope["method"],
                route=_route(scope),
                request_id=request_id,
                error=type(error).__name__,
                at=frames_of(error),
            )
            if not status:
                await of_error(error)(scope, receive, replying)
        self._count(scope["method"], _route(scope), status)

    def _count(self, method: str, route: str, status: int) -> None:
        counter = self._counters.get((method, route, status))
        if counter is None:  # looking a counter up by its labels takes longer than counting
            counter = self._requests.labels(method, route, str(status or "none"))
            self._counters[method, route, status] = counter
        counter.inc()

    def _limit(self, path: str) -> tuple[int, float]:
        """The most bytes of a body for this path, and seconds until it must be complete."""
        config = self._settings
        if path == FILES:
            return config.max_file_bytes + FORM_BYTES, config.max_upload_s
        large = path.startswith(PARTS) or path.endswith(LARGE)
        return config.max_part_bytes if large else config.max_body_bytes, config.max_body_s


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
    """`receive` that raises Refused for a body over `limit` bytes or not complete in `within_s`.

    The time counts from the first read, which comes after the key was accepted.
    """
    seen = 0
    whole = False
    until: float | None = None

    async def receiving() -> Message:
        nonlocal seen, whole, until
        if whole:  # the next message is the caller's disconnect, whenever it comes
            return await receive()
        until = until or asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise _refused(
                "body-too-slow", f"the body did not arrive within {within_s:g} s"
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
    return _refused("body-too-large", f"a body for this route has at most {limit:,} bytes")


def _refused(slug: str, detail: str) -> Refused:
    # The rest of the body is not read, so nothing else can follow on this connection.
    return Refused(slug, detail, headers={"Connection": "close"})


def _guarded(headers: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with those that every answer has."""
    guarded = [*headers, NO_SNIFFING, IDENTITY]
    if not path.startswith(PUBLIC) and not any(name == PRIVATE[0] for name, _ in guarded):
        guarded.append(PRIVATE)
    return guarded


def _route(scope: Scope) -> str:
    """The path's template. As a label it has few values, unlike the path."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))
