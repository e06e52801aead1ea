"""A model server and a webhook receiver in a container of their own, on port 9000.

The model `small` answers every second order number wrongly, `large` all of them rightly. GET /seen
tells how many calls each model had, and which webhooks came. Needs nothing but Python.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NUMBER = re.compile(r"[A-Z]{2}-\d{4}")
WRONG = "QQ-0000"  # stands in no input, but in a later tier's prompt about the answer before
SEEN: dict[str, Any] = {"calls": {}, "events": {}}
LOCK = threading.Lock()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with LOCK:
            self._answer(SEEN)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))))
        if self.path.endswith("/chat/completions"):
            self._answer(_completion(body))
        else:
            with LOCK:
                SEEN["events"].setdefault(self.headers["webhook-id"], body["type"])
            self._answer({})

    def _answer(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: inputs are in the requests."""


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    model = str(body["model"])
    with LOCK:
        SEEN["calls"][model] = SEEN["calls"].get(model, 0) + 1
    numbers = NUMBER.findall(str(body["messages"][-1]["content"]))
    number = next(one for one in numbers if one != WRONG)
    if model == "small" and int(number[-1]) % 2:
        number = WRONG
    return {
        "id": "far-end",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": json.dumps({"order_number": number})},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 9000), _Request).serve_forever()  # its network is the test's
