"""A web server that answers requests as a test tells it, in the place of the API."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import DEADLINE_S
from tierline_client import Place

GOOD = (200, {"ok": True})


class ScriptedApi(ThreadingHTTPServer):
    """Gives the answers of `script` in turn, the last one for ever. Knows one key."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.key = "one"
        self.script: list[tuple[int, Any]] = [GOOD]
        self.paths: list[str] = []
        self.retry_after: str | None = None  # a header of every refusal
        self.headers = {"Tierline-Api": "v1"}  # of every answer

    @property
    def place(self) -> Place:
        return Place(f"http://127.0.0.1:{self.server_port}", self.key)


class _Request(BaseHTTPRequestHandler):
    server: ScriptedApi

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        script = self.server.script
        status, body = script.pop(0) if len(script) > 1 else script[0]
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            status, body = 401, {"detail": "no"}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if status >= 400 and self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    """One that runs until the end of the block."""
    made = ScriptedApi()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join(DEADLINE_S)
