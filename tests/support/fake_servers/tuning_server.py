"""OpenAI's files and fine-tuning jobs behind loopback HTTP, which records its requests."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "not-a-real-key"


@dataclass(frozen=True)
class ReceivedRequest:
    """One request."""

    method: str
    path: str
    authorization: str | None
    body: Any  # JSON; of a form its parts by name: (file name, content)


def file_object(id: str) -> dict[str, Any]:
    return {
        **{"id": id, "object": "file", "bytes": 10, "created_at": 1764000000},
        **{"filename": "train.jsonl", "purpose": "fine-tune", "status": "processed"},
    }


def job_object(**more: Any) -> dict[str, Any]:
    return {
        **{"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1764000000, "seed": 1},
        **{"model": "gpt-4.1-nano-2025-04-14", "organization_id": "org-1", "result_files": []},
        **{"status": "queued", "training_file": "file-1", "validation_file": "file-2"},
        **{"fine_tuned_model": None, "finished_at": None, "trained_tokens": None, "error": None},
        "hyperparameters": {"n_epochs": 3},
        **more,
    }


@dataclass
class TuningServer:
    """`answer` may say how a request is answered instead: a status and JSON; None: as usual."""

    answer: Callable[[ReceivedRequest], tuple[int, Any] | None] = lambda _: None
    job: dict[str, Any] = field(default_factory=job_object)
    requests: list[ReceivedRequest] = field(default_factory=list)

    def __enter__(self) -> "TuningServer":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._take(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        held = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        kind = request.headers.get("Content-Type") or ""
        body: Any = None
        if kind.startswith("multipart/form-data"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            form = BytesParser(policy=HTTP).parsebytes(head + held)
            body = {
                part.get_param("name", header="content-disposition"): (
                    part.get_filename(),
                    part.get_payload(decode=True),
                )
                for part in form.iter_parts()  # type: ignore[attr-defined]
            }
        elif held:
            body = json.loads(held)
        received = ReceivedRequest(
            request.command, request.path, request.headers.get("Authorization"), body
        )
        self.requests.append(received)
        status, document = self.answer(received) or self._usual(received)
        written = json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(written)))
        request.end_headers()
        request.wfile.write(written)

    def _usual(self, received: ReceivedRequest) -> tuple[int, Any]:
        if received.path == "/v1/files":
            return 200, file_object(f"file-{sum(one.path == '/v1/files' for one in self.requests)}")
        return 200, self.job
