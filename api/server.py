"""How the API listens: uvicorn, with the bounds on a request's head that it does not have itself.

A head that never ends would hold a connection, and the memory of what came of it, for ever. Bodies
are the front's business.
"""

import asyncio
import sys
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STOP_S = 10  # after SIGTERM: how long requests under way may still take; a wait is cut
KEEP_ALIVE_S = 75  # longer than the usual proxy's own, so that the proxy closes first
BACKLOG = 2048
HEAD_S = 20.0  # from the first byte of a request, or the connection, to the end of its headers
MAX_HEAD_BYTES = 64 * 1024  # request line and headers; proxies allow 8 to 32 KiB


class BoundedHttp(HttpToolsProtocol):
    """One connection whose requests' heads are bounded in time and size.

    A timer is set only for a head that did not come whole at once, so that it costs the usual
    request nothing.
    """

    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._no_timer()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._late)

    def _late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        self.transport.close()

    def _no_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


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
        proxy_headers=False,  # nothing here looks at the client's address
        server_header=False,
        date_header=True,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
