"""The exceptions of requests to the API, and the conversion of responses to them.

The API returns errors as problem+json (RFC 9457). No exception has a key or a request body in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tierline_client.retry_after import retry_after_s


@dataclass(frozen=True)
class FieldProblem:
    """One problem in the request."""

    message: str
    path: str = ""  # JSON pointer into the request body, such as "/input/text"
    line: int | None = None  # from 1, if a file was sent

    def __str__(self) -> str:
        parts = [part for part in (self.line and str(self.line), self.path, self.message) if part]
        return ": ".join(parts)


class TierlineError(Exception):
    """The base class of all errors in this package; `message` can be shown to a person.

    `status`, `type` and `request_id` are those of the API's answer, if there was one.
    """

    status: int | None = None  # HTTP
    type: str | None = None  # such as "limit-reached"; docs name them
    request_id: str | None = None  # for questions to whoever operates the API

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misconfigured(TierlineError):
    """The address or the key is missing or invalid."""


class Forbidden(TierlineError):
    """401 or 403: the API rejects the key, or the key's scopes do not allow the request."""


class NotFound(TierlineError):
    """404: the resource does not exist, or the caller may not see it."""


class Conflict(TierlineError):
    """409: the resource's state does not allow this request."""


class InvalidInput(TierlineError):
    """400, 413, 415 or 422: the request is invalid. `problems` has a problem per field; `left_out`
    is the number of further problems.
    """

    def __init__(self, problems: Sequence[FieldProblem], left_out: int = 0) -> None:
        self.problems: tuple[FieldProblem, ...] = tuple(problems)
        self.left_out = left_out
        text = "; ".join(str(problem) for problem in self.problems)
        super().__init__(text + (f"; and {left_out:,} more" if left_out else ""))


class Unavailable(TierlineError):
    """No response, or 5xx: a later retry may succeed.

    `retry_after_s` is the response's Retry-After in seconds, if it has one. `maybe_received`: the
    connection broke when the API may have had the request.
    """

    maybe_received = False

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LimitReached(Unavailable):
    """429: the account has reached a limit."""


class NotTierline(TierlineError):
    """The server at the address is not tierline."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url} answers, but it is not tierline: set TIERLINE_URL to its address")


class Failed(TierlineError):
    """Any other response that is not a success."""


class WaitTimeout(TierlineError):
    """The job has not ended in time. It goes on; wait again, or cancel it."""

    def __init__(self, job_id: str, waited_s: float) -> None:
        self.job_id = job_id
        what = f"job {job_id}" if job_id else "the job, whose submission was not answered,"
        super().__init__(f"{what} has not ended within {waited_s:g} s; it goes on")


class OutputMismatch(TierlineError):
    """The output is not of the requested `output_type`. `problems` says where; the output
    itself is not in the message.
    """

    def __init__(self, job_id: str, problems: Sequence[FieldProblem]) -> None:
        self.job_id = job_id
        self.problems: tuple[FieldProblem, ...] = tuple(problems)
        text = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"the output of job {job_id} does not match output_type: {text}")


class BadSignature(TierlineError):
    """The webhook is not signed with this secret, or too old."""


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> TierlineError:
    """The error for a response, with the API's message."""
    problem = _object(body)
    error = _error(status, headers, problem)
    error.status = status
    error.request_id = headers.get("request-id")
    kind = problem.get("type")
    error.type = kind.rpartition(":")[2] if isinstance(kind, str) else None
    return error


def _error(status: int, headers: Mapping[str, str], problem: Mapping[str, Any]) -> TierlineError:
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
    wait_s = retry_after_s(headers.get("retry-after"))
    if status == 401:
        return Forbidden(f"the API rejects this key: {detail}")
    if status == 403:
        return Forbidden(detail)
    if status == 404:
        return NotFound(detail)
    if status == 409:
        return Conflict(detail)
    if status in (400, 413, 415, 422):
        fields = _fields(problem.get("errors"))
        return InvalidInput(
            fields or [FieldProblem(detail)], _count(problem.get("errors_left_out"))
        )
    if status == 429:
        return LimitReached(detail, wait_s)
    if status >= 500:
        return Unavailable(detail, wait_s)
    return Failed(detail)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _fields(errors: object) -> list[FieldProblem]:
    if not isinstance(errors, list):
        return []
    items = cast(list[object], errors)
    listed = [cast(dict[str, Any], one) for one in items if isinstance(one, dict)]
    return [
        FieldProblem(
            str(one.get("message", "")),
            str(one.get("path") or ""),
            one["line"] if isinstance(one.get("line"), int) else None,
        )
        for one in listed
    ]


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
