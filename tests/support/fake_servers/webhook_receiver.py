"""A webhook receiver on loopback whose manners a test chooses: it answers, hangs, drips, redirects.

A real HTTP server on threads of its own. It keeps what it was sent, and counts how many requests it
held at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.support.fake_servers.held_server import HeldServer, running
from tests.support.waiting import DEADLINE_S


@dataclass(frozen=True)
class Request:
    """What came: the headers' names in lower case, the body as its bytes."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(HeldServer):
    """Answers every POST by `manner`, which a test may change at any time."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(_Answer)
        self.manner: Callable[[_Answer], None] = status(204)
        self.requests: list[Request] = []
        self.held = 0
        self.most_held = 0
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what these tests are about."""


class _Answer(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.requests.append(Request(self.path, headers, body))
            self.server.held += 1
            self.server.most_held = max(self.server.most_held, self.server.held)
        try:
            self.server.manner(self)
        finally:
            with self.server.lock:
                self.server.held -= 1

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what matters."""


Manner = Callable[[_Answer], None]


def status(code: int, body: bytes = b"", **headers: str) -> Manner:
    """Answer with that status at once."""

    def answer(request: _Answer) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def hang(request: _Answer) -> None:
    """Say nothing until the test is over."""
    request.server.released.wait(DEADLINE_S)


def drip_headers(request: _Answer) -> None:
    """A byte of a header now and then, so that no single read is ever late."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while not request.server.released.wait(0.05):
        request.wfile.write(b".")
        request.wfile.flush()


def endless_informational(request: _Answer) -> None:
    """An answer is on its way, again and again."""
    while not request.server.released.wait(0.01):
        request.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        request.wfile.flush()


def flood_headers(request: _Answer) -> None:
    """A header as fast as it goes, for ever."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
    while not request.server.released.is_set():
        request.wfile.write(b"." * 65536)


def break_in_the_status(request: _Answer) -> None:
    """Half a status, and then nothing more."""
    request.wfile.write(b"HTTP/1.1 2")
    request.wfile.flush()
    request.server.released.wait(DEADLINE_S)


def drip_body(request: _Answer) -> None:
    """A status at once, and then a body that never ends."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not request.server.released.wait(0.05):
        request.wfile.write(b".")
        request.wfile.flush()


def flood_body(request: _Answer) -> None:
    """A status at once, and then a body as fast as it goes, for ever."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not request.server.released.is_set():
        request.wfile.write(b"." * 65536)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs inside the block."""
    with running(Receiver()) as receiver:
        yield receiver
