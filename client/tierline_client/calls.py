"""One request to the API as a value, and how its answer is read. Nothing here does I/O.

Both clients, sync and async, send the same calls.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from tierline_client.errors import NotTierline, Unavailable

if TYPE_CHECKING:
    from tierline_client.models import (
        Attempt,
        Batch,
        BatchRow,
        Feature,
        FeatureVersion,
        Feedback,
        Usage,
    )

T = TypeVar("T")

JSON_TYPE = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes = field(repr=False)

    @property
    def request_id(self) -> str | None:
        """For questions to whoever operates the API."""
        return self.headers.get("request-id")

    def json(self) -> Any:
        """The body as JSON. Raises NotTierline for another body."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise NotTierline("the server") from None


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read. Each is safe to repeat: what creates something has an
    Idempotency-Key.
    """

    method: str
    path: str
    parse: Callable[[Answer], T] = field(repr=False)
    params: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class Submission:
    """A job to submit."""

    feature: str
    input: Any = field(repr=False)
    metadata: Mapping[str, Any] | None = None
    webhook_url: str | None = None
    user: str | None = None
    session: str | None = None
    deadline_s: float | None = None

    def document(self) -> dict[str, Any]:
        """Its JSON. An input that is a pydantic model is dumped."""
        more = {
            name: getattr(self, name)
            for name in ("metadata", "webhook_url", "user", "session", "deadline_s")
            if getattr(self, name) is not None
        }
        return {"feature": self.feature, "input": plain(self.input), **more}


def plain(value: Any) -> Any:
    """The value as JSON: pydantic models are dumped."""
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else value


def new_key() -> str:
    """An Idempotency-Key."""
    return uuid.uuid4().hex


def submit(submission: Submission, key: str, wait_s: float | None = None) -> Call[dict[str, Any]]:
    """Submit a job; with `wait_s` the answer comes when the job has ended, or so many seconds
    later."""
    headers = {"Idempotency-Key": key}
    if wait_s is not None:
        headers["Prefer"] = f"wait={wait_s:g}"
    return _send("POST", "/v1/jobs", submission.document(), _object, headers)


def submit_many(submissions: Sequence[Submission], key: str) -> Call[list[dict[str, Any]]]:
    """Submit up to 100 jobs in one call."""
    body = {"jobs": [one.document() for one in submissions]}
    return _send("POST", "/v1/jobs:batch", body, _data, {"Idempotency-Key": key})


def get_job(job_id: str, wait_s: float | None = None) -> Call[dict[str, Any]]:
    """Read a job; with `wait_s` the answer comes when it has ended, or so many seconds later."""
    headers = {} if wait_s is None else {"Prefer": f"wait={wait_s:g}"}
    return Call("GET", _job(job_id), _object, headers=headers)


def follow_job(job_id: str) -> Call[None]:
    """Read a job's events; the answer is a stream."""
    return Call("GET", f"{_job(job_id)}/events", lambda _: None)


def get_jobs(job_ids: Sequence[str]) -> Call[list[dict[str, Any]]]:
    """Read up to 200 jobs."""
    return Call("GET", "/v1/jobs", _data, params={"ids": ",".join(job_ids)})


def list_jobs(filters: Mapping[str, object], cursor: str | None) -> Call[dict[str, Any]]:
    """A page of jobs."""
    return Call("GET", "/v1/jobs", _object, params=_params({**filters, "cursor": cursor}))


def cancel_job(job_id: str) -> Call[dict[str, Any]]:
    """Cancel a job."""
    return Call("POST", f"{_job(job_id)}/cancel", _object)


def retry_job(job_id: str, key: str) -> Call[dict[str, Any]]:
    """Submit a job again that failed, expired or was cancelled."""
    return Call("POST", f"{_job(job_id)}/retry", _object, headers={"Idempotency-Key": key})


def job_attempts(job_id: str) -> Call[list[Attempt]]:
    """A job's attempts."""

    def parse(answer: Answer) -> list[Attempt]:
        from tierline_client.models import Attempt

        return [Attempt.model_validate(one) for one in _data(answer)]

    return Call("GET", f"{_job(job_id)}/attempts", parse)


def give_feedback(
    job_id: str, correct: bool | None, expected: Any, comment: str | None
) -> Call[Feedback]:
    """Say whether a job's output is right, or what is right. The last word counts."""

    def parse(answer: Answer) -> Feedback:
        from tierline_client.models import Feedback

        return Feedback.model_validate(answer.json())

    body = {"correct": correct, "expected": plain(expected), "comment": comment}
    fields = {name: value for name, value in body.items() if value is not None}
    return _send("POST", f"{_job(job_id)}/feedback", fields, parse)


def open_batch(
    feature: str, key: str, metadata: Mapping[str, Any] | None, webhook_url: str | None
) -> Call[Batch]:
    """Open a batch, or find the one with this key."""
    body = {"feature": feature, "metadata": metadata, "webhook_url": webhook_url}
    fields = {name: value for name, value in body.items() if value is not None}
    return _send("POST", "/v1/batches", fields, _batch, {"Idempotency-Key": key})


def get_batch(batch_id: str) -> Call[Batch]:
    """Read a batch with its counts and cost."""
    return Call("GET", f"/v1/batches/{_quoted(batch_id)}", _batch)


def cancel_batch(batch_id: str) -> Call[Batch]:
    """Cancel a batch."""
    return Call("POST", f"/v1/batches/{_quoted(batch_id)}/cancel", _batch)


def pause_batch(batch_id: str) -> Call[Batch]:
    """Pause a batch."""
    return Call("POST", f"/v1/batches/{_quoted(batch_id)}/pause", _batch)


def resume_batch(batch_id: str) -> Call[Batch]:
    """End a batch's pause."""
    return Call("POST", f"/v1/batches/{_quoted(batch_id)}/resume", _batch)


def put_part(batch_id: str, number: int, rows: bytes) -> Call[None]:
    """Send a part. A repeat with the same bytes changes nothing."""
    path = f"/v1/batches/{_quoted(batch_id)}/parts/{number}"
    return Call("PUT", path, lambda _: None, content=rows, headers={"Content-Type": NDJSON})


def seal_batch(batch_id: str, parts: int) -> Call[Batch]:
    """End a batch's parts."""
    return _send("POST", f"/v1/batches/{_quoted(batch_id)}/seal", {"parts": parts}, _batch)


def batch_rows(batch_id: str, after: int, most: int) -> Call[list[BatchRow[Any]]]:
    """A batch's rows after that one, in order, whatever became of them."""

    def parse(answer: Answer) -> list[BatchRow[Any]]:
        from tierline_client.models import BatchRow

        lines = answer.content.split(b"\n")
        if lines.pop():
            raise Unavailable("the connection was closed within a row")
        return [BatchRow[Any].model_validate_json(line) for line in lines]

    path = f"/v1/batches/{_quoted(batch_id)}/output"
    return Call("GET", path, parse, params={"after": str(after), "limit": str(most)})


def list_features() -> Call[list[Feature]]:
    """The applied features."""

    def parse(answer: Answer) -> list[Feature]:
        from tierline_client.models import Feature

        return [Feature.model_validate(one) for one in _data(answer)]

    return Call("GET", "/v1/features", parse)


def get_feature(name: str, version: int | None) -> Call[FeatureVersion]:
    """A feature's current version, or that one."""

    def parse(answer: Answer) -> FeatureVersion:
        from tierline_client.models import FeatureVersion

        return FeatureVersion.model_validate(answer.json())

    return Call("GET", f"/v1/features/{_quoted(name)}", parse, params=_params({"version": version}))


def get_usage(
    since: datetime | None, until: datetime | None, group_by: Iterable[str]
) -> Call[Usage]:
    """Sums of the account's calls."""

    def parse(answer: Answer) -> Usage:
        from tierline_client.models import Usage

        return Usage.model_validate(answer.json())

    times = {
        name: None if time is None else time.isoformat()
        for name, time in (("from", since), ("to", until))
    }
    params = _params({**times, "group_by": ",".join(group_by) or None})
    return Call("GET", "/v1/usage", parse, params=params)


def _send(
    method: str,
    path: str,
    body: Any,
    parse: Callable[[Answer], T],
    headers: Mapping[str, str] | None = None,
) -> Call[T]:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return Call(
        method, path, parse, content=content, headers={"Content-Type": JSON_TYPE, **(headers or {})}
    )


def _object(answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body


def _data(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer.json()["data"]
    return items


def _batch(answer: Answer) -> Batch:
    from tierline_client.models import Batch

    return Batch.model_validate(answer.json())


def _params(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _job(job_id: str) -> str:
    return f"/v1/jobs/{_quoted(job_id)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")
