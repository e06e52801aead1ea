"""OpenAI's files and fine-tuning jobs (platform.openai.com/docs/api-reference/fine-tuning)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tierline.base.errors import Forbidden, TierlineError, Unavailable

CONNECT_S = 10.0
ANSWER_S = 120.0
SEND_S = 600.0  # of a file
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Job:
    """A training as the provider reports it."""

    id: str
    status: str  # validating_files, queued, running, and those in ENDED
    model: str | None  # the result; None: not yet
    trained_tokens: int | None
    error: str | None


class Tuning:
    """One account at OpenAI, or at a compatible server."""

    def __init__(
        self,
        base_url: str,
        key: str,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        if organization is not None:
            headers["OpenAI-Organization"] = organization
        if project is not None:
            headers["OpenAI-Project"] = project
        self._http = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S, write=SEND_S),
            trust_env=False,
        )

    def __enter__(self) -> "Tuning":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, path: Path) -> str:
        """Upload a file for training or validation; returns its id. Raises a TierlineError."""
        with path.open("rb") as source:
            file = self._ask(
                "POST",
                "files",
                data={"purpose": "fine-tune"},
                files={"file": (path.name, source, "application/octet-stream")},
            )
        return _text(file, "id")

    def start(
        self, model: str, training: str, validation: str | None, epochs: int, suffix: str | None
    ) -> Job:
        """Start a training on files by their ids. Raises a TierlineError."""
        body: dict[str, Any] = {
            "model": model,
            "training_file": training,
            "method": {
                "type": "supervised",
                "supervised": {"hyperparameters": {"n_epochs": epochs}},
            },
        }
        if validation is not None:
            body["validation_file"] = validation
        if suffix is not None:
            body["suffix"] = suffix
        return _job(self._ask("POST", "fine_tuning/jobs", json=body))

    def job(self, id: str) -> Job:
        """The state of a training. Raises a TierlineError."""
        return _job(self._ask("GET", f"fine_tuning/jobs/{quote(id, safe='')}"))

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        try:
            answer = self._http.request(method, path, **body)
        except httpx.TimeoutException:
            raise Unavailable("OpenAI did not answer in time") from None
        except httpx.TransportError as error:
            raise Unavailable(f"OpenAI cannot be reached: {type(error).__name__}") from None
        try:
            data = answer.json()
        except ValueError:
            data = None
        if answer.is_success and isinstance(data, dict):
            return data
        reason = f"HTTP {answer.status_code}"
        if isinstance(data, dict) and isinstance(data.get("error"), dict):
            reason = f"{data['error'].get('message') or reason}"
        if answer.status_code in (401, 403):
            raise Forbidden(f"OpenAI refused the key: {reason}")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unavailable(f"OpenAI: {reason}")
        raise TierlineError(f"OpenAI refused the request: {reason}")


def _job(body: dict[str, Any]) -> Job:
    error = body.get("error")
    return Job(
        id=_text(body, "id"),
        status=_text(body, "status"),
        model=body.get("fine_tuned_model"),
        trained_tokens=body.get("trained_tokens"),
        error=error.get("message") if isinstance(error, dict) else None,
    )


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise TierlineError(f"OpenAI's answer has no {key}")
    return value
