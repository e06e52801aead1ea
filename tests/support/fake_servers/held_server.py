"""A fake server that holds requests until its test is over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

from tests.support.waiting import DEADLINE_S


class HeldServer(ThreadingHTTPServer):
    """On loopback, with a thread for each connection. Its slow answers wait for `released`."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.released = threading.Event()  # set at the end, so that hanging threads go home


Server = TypeVar("Server", bound=HeldServer)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server runs inside the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join(timeout=DEADLINE_S)
