"""What a request to the API raises, and which answer becomes which error.

The API answers errors as problem+json (RFC 9457). No error holds a key, or a body that was sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline_client.retry_after import retry_after_s


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with what was sent."""

    message: str
    path: str = ""  # JSON pointer into what was sent, e.g. "/input/text"
    line: int | None = None  # counted from 1, where a file was sent

    def __str__(self) -> str:
        parts = [part for part in (self.line and str(self.line), self.path, self.message) if part]
        return ": ".join(parts)


class TierlineError(Exception):
    """The root of all errors here; `message` is fit to show to a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misconfigured(TierlineError):
    """The address or the key cannot be used as it was given."""


class Forbidden(TierlineError):
    """401 or 403: the API does not take the key, or its scopes do not reach this far."""


class NotFound(TierlineError):
    """404: the thing named does not exist, or is not the caller's to see."""


class Conflict(TierlineError):
    """409: the thing is not in a state in which this can be done."""


class InvalidInput(TierlineError):
    """400, 413, 415 or 422: what was sent does not fit. `problems` names fields; `left_out` says
    how many more problems there are.
    """

    def __init__(self, problems: Sequence[FieldProblem], left_out: int = 0) -> None:
        self.problems = tuple(problems)
        self.left_out = left_out
        text = "; ".join(str(problem) for problem in self.problems)
        super().__init__(text + (f"; and {left_out:,} more" if left_out else ""))


class Unavailable(TierlineError):
    """No answer, or 5xx: asking again later may work.

    `retry_after_s` is the wait in seconds that the answer asked for, if it did.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LimitReached(Unavailable):
    """429: the account has as much as it may have now."""


class NotTierline(TierlineError):
    """Something else than tierline answers at the address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url} answers, but it is not tierline: set TIERLINE_URL to its address")


class Failed(TierlineError):
    """Any other answer that is not a success."""


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> TierlineError:
    """The error that an answer stands for, with the words that the API gave."""
    problem = _object(body)
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
    wait_s = retry_after_s(headers.get("retry-after"))
    if status == 401:
        return Forbidden(f"the API does not take this key: {detail}")
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
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fields(errors: object) -> list[FieldProblem]:
    if not isinstance(errors, list):
        return []
    return [
        FieldProblem(
            str(one.get("message", "")),
            str(one.get("path") or ""),
            one["line"] if isinstance(one.get("line"), int) else None,
        )
        for one in errors
        if isinstance(one, dict)
    ]


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
