"""A webhook receiver to watch tierline's events with: verifies the signature, prints a line each.

    python examples/receiver.py --port 9000 --secret whsec_...

Answers 204 to an event whose Standard Webhooks signature holds, 400 to anything else. Listens on
127.0.0.1 only. It keeps nothing on disk, and prints what an event is about, never an output.
An event may come more than once (delivery is at least once); a webhook-id seen before is marked
"again", which is where a receiver of your own would skip the work.
"""

import argparse
import binascii
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
)

MAX_BODY_BYTES = 8 * 1024 * 1024
"""An event with its output included stays far below this; more is not one of ours."""

SOCKET_TIMEOUT_S = 15.0
"""A sender that stops in the middle of a request must not hold its thread for ever."""


@dataclass(frozen=True)
class Event:
    """A verified webhook."""

    webhook_id: str  # the same for every try of one delivery
    type: str  # job.completed, job.escalated, …
    payload: dict[str, Any]  # the whole body
    again: bool  # this webhook-id has been accepted before

    def line(self) -> str:
        """The event in one line: what happened to what, without input or output."""
        data = self.payload.get("data")
        about = data if isinstance(data, dict) else {}
        shown = ("id", "job_id", "batch_id", "feature", "status", "tier", "cost_usd")
        facts = [f"{name}={about[name]}" for name in shown if about.get(name) is not None]
        again = ["(again)"] if self.again else []
        return " ".join([self.type, *facts, f"webhook-id={self.webhook_id}", *again])


class Receiver(ThreadingHTTPServer):
    """Hands every verified event to `on_event`; `rejected` counts those whose signature failed.

    Port 0 takes a free one; `url` says which. Raises ValueError for a secret that is none.
    """

    daemon_threads = True

    def __init__(self, secret: str, on_event: Callable[[Event], None], port: int = 0) -> None:
        try:
            self.webhook = Webhook(secret)
        except (binascii.Error, EmptyWebhookSecretError) as error:
            raise ValueError("the secret must be whsec_ followed by base64") from error
        super().__init__(("127.0.0.1", port), _Request)
        self.on_event = on_event
        self.rejected = 0
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def accept(self, body: bytes, headers: dict[str, str]) -> bool:
        """Whether the signature holds and the body is an event; if so it has been handed on."""
        try:
            payload = self.webhook.verify(body, headers)
            if not isinstance(payload, dict):
                raise TypeError("an event is a JSON object")
        # A header or body that is not even well formed surfaces as ValueError or TypeError.
        except (WebhookVerificationError, ValueError, TypeError):
            with self._lock:
                self.rejected += 1
            return False
        webhook_id = headers["webhook-id"]
        with self._lock:  # one line at a time, and one first time for an id
            again = webhook_id in self._seen
            self._seen.add(webhook_id)
            self.on_event(Event(webhook_id, str(payload.get("type", "?")), payload, again))
        return True


class _Request(BaseHTTPRequestHandler):
    server: Receiver
    timeout = SOCKET_TIMEOUT_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._answer(411)
        elif int(length) > MAX_BODY_BYTES:
            self._answer(413)
        else:
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(204 if self.server.accept(body, headers) else 400)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the event's own line is the log."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the webhooks that tierline sends.")
    parser.add_argument("--port", type=int, default=9000, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--secret",
        default=os.environ.get("TIERLINE_WEBHOOK_SECRET"),
        help="whsec_…, as the account or endpoint has it (or set TIERLINE_WEBHOOK_SECRET)",
    )
    args = parser.parse_args()
    if not args.secret:
        parser.error("give --secret, or set TIERLINE_WEBHOOK_SECRET")
    try:
        receiver = Receiver(args.secret, lambda event: print(event.line(), flush=True), args.port)
    except (ValueError, OverflowError) as error:  # a port over 65535 overflows
        parser.error(str(error))
    except OSError as error:
        parser.error(f"cannot listen on 127.0.0.1:{args.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with receiver:
        print(f"listening on {receiver.url}", flush=True)
        try:
            receiver.serve_forever()
        except KeyboardInterrupt:
            print(f"stopped; {receiver.rejected} rejected", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
