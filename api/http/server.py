"""How the API listens: uvicorn, plus limits on a request's head that uvicorn lacks.

A head that never ends would hold a connection and its memory for ever. The front limits bodies, but
the rest of a body may still arrive after the answer. Closing with unread bytes resets the
connection, and a client that writes everything before it reads would never see the answer (RFC
9112, section 9.6). So the rest is read and dropped, within limits, like nginx's lingering_close.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STOP_S = 10  # how long requests under way may take after SIGTERM; longer waits are cut
KEEP_ALIVE_S = 75  # longer than the usual proxy's own, so that the proxy closes first
BACKLOG = 2048
HEAD_S = 20.0  # from the first byte of a request, or the connection, to the end of its headers
MAX_HEAD_BYTES = 64 * 1024  # request line and headers; proxies allow 8 to 32 KiB
LINGER_S = 30.0  # from the answer to the close, whatever the client sends; nginx's lingering_time
LINGER_IDLE_S = 5.0  # … or without a byte from it; nginx's lingering_timeout
MAX_LINGER_BYTES = 64 * 1024 * 1024  # dropped per connection: eight times the largest part
MOST_LINGERING = 128
"""The most lingering connections of a process; more are closed at once. Each holds a descriptor and
a timer, so they must not accumulate."""


class BoundedHttp(HttpToolsProtocol):
    """One connection that limits the time and size of its requests' heads.

    A timer is set only if a head did not arrive at once, so usual requests have no cost.
    """

    head_s = HEAD_S
    linger_s = LINGER_S
    linger_idle_s = LINGER_IDLE_S
    max_linger_bytes = MAX_LINGER_BYTES
    most_lingering = MOST_LINGERING
    lingering: ClassVar[set["BoundedHttp"]] = set()  # of this process

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_bytes = 0  # received after the answer
        self._rest_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_timer()
        self._no_rest()
        self.lingering.discard(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._no_timer()
        super().on_headers_complete()
        self.cycle.transport = _Closing(self)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._no_rest()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self in self.lingering:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            # Kept alive, and the rest of the body is still to come.
            self._rest_timer = self.loop.call_later(self.linger_s, self._abort)

    def close(self) -> None:
        """Close after everything is written. The rest of the request is read first, if any."""
        if self.transport.is_closing() or self in self.lingering:
            return
        unread = self._in_head or self.cycle.more_body
        if not unread or len(self.lingering) >= self.most_lingering:
            self.transport.close()
            return
        self.lingering.add(self)
        self._no_timer()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._rest_timer = self.loop.call_later(self.linger_s, self._abort)
        self._idle_timer = self.loop.call_later(self.linger_idle_s, self._abort)

    def data_received(self, data: bytes) -> None:
        if self._rest_timer is not None:
            self._rest_bytes += len(data)
            if self._rest_bytes > self.max_linger_bytes:
                self._abort()
                return
        if self in self.lingering:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._idle_timer = self.loop.call_later(self.linger_idle_s, self._abort)
            return
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            if self._refuse(b"431 Request Header Fields Too Large"):
                self.close()
            else:
                self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._late)

    def _late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")
            self.transport.close()  # no unread bytes can follow

    def _refuse(self, status: bytes) -> bool:
        """Send the reason before the connection is closed. False if an earlier answer is under way,
        because then nothing can be sent."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        return True

    def _abort(self) -> None:
        self._no_rest()
        self.transport.abort()

    def _no_rest(self) -> None:
        for timer in (self._rest_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._rest_timer = self._idle_timer = None
        self._rest_bytes = 0

    def _no_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Closing:
    """The transport that a request's cycle uses. Its close() is that of the connection."""

    def __init__(self, connection: BoundedHttp) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.close()


class Server(uvicorn.Server):
    """A server that reports the beginning of a stop: `stop` ends work that requests under way need
    not wait for. Uvicorn itself informs the app only after those requests have ended.
    """

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop()
        await super().shutdown(sockets)


def configured(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """The API's uvicorn, as every process of it runs."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # only sign-in by OpenID Connect uses addresses: api/access/openid.py
        server_header=False,
        date_header=True,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
