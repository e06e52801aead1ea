"""The demo's own checks, served as an operator's: features name them, and tierline asks by HTTP.

Requests are signed as webhooks are, and answered with whether the answer passed. See
docs/features.md, "Checks of your own".
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from examples.demo import invoice_lines, summary_words
from tierline.webhooks.sign import new_secret

MAX_BODY_BYTES = 1024 * 1024
Problem = Callable[[str, Any], str | None]
CHECKS: Mapping[str, Problem] = {
    "invoice-lines": invoice_lines.problem,
    "summary-words": summary_words.problem,
}


class CheckServer(ThreadingHTTPServer):
    """Answers on loopback until it is closed; `setting` is what TIERLINE_CHECKS is to be."""

    daemon_threads = True

    def __init__(self) -> None:
        self.secret = new_secret()
        self.webhook = Webhook(self.secret)
        super().__init__(("127.0.0.1", 0), _Request)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def setting(self) -> str:
        url = f"http://127.0.0.1:{self.server_address[1]}/"
        return json.dumps({name: {"url": url, "secret": self.secret} for name in CHECKS})

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: CheckServer
    timeout = 15.0

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.send_error(413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            request = self.server.webhook.verify(self.rfile.read(int(length)), headers)
            reason = CHECKS[request["check"]](request["input"]["text"], request["output"])
        except (WebhookVerificationError, ValueError, TypeError, KeyError):
            self.send_error(400)
            return
        body = json.dumps({"passed": reason is None, "reason": reason or ""}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a request's line is no news."""
