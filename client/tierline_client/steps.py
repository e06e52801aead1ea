"""The client's logic as steps, which a sync and an async driver carry out.

A function here is a generator: it yields what is to be done (send a call, sleep, follow a job) and
gets the outcome back. So retries, pages, waits and batches are written once, without I/O.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tierline_client.calls import Answer, Call, list_jobs
from tierline_client.errors import LimitReached, TierlineError, Unavailable, error_of

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send a call. The outcome is an Answer; Unavailable is raised if there is none."""

    call: Call[Any]
    waits: bool = False  # the API answers when a job has ended: it takes room as a stream does


@dataclass(frozen=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Follow:
    """Read a job's events until it has ended or the stream breaks. The outcome is Followed."""

    job_id: str
    last_id: str | None
    timeout_s: float | None  # from now


@dataclass(frozen=True)
class Followed:
    """What came of a stream."""

    job: dict[str, Any] | None = None  # the job, if it has ended
    last_id: str | None = None
    answer: Answer | None = None  # instead of a stream


@dataclass(frozen=True)
class Watch:
    """Wait for a job together with others, up to `timeout_s`. The outcome is its JSON once it has
    ended; None: not yet.
    """

    job_id: str
    timeout_s: float | None


@dataclass(frozen=True)
class AskRoom:
    """How to wait for one more job. The outcome is a Way."""


@dataclass(frozen=True)
class Now:
    """The time on a monotonic clock, in seconds."""


@dataclass(frozen=True)
class Emit:
    """Give one item to the caller who iterates."""

    item: Any


Step: TypeAlias = Send | Sleep | Follow | Watch | AskRoom | Now | Emit
Steps: TypeAlias = Generator[Step, Any, T]

Outcome: TypeAlias = tuple[Any, TierlineError | None]


def advance(steps: Generator[Step, Any, Any], outcome: Outcome) -> Step:
    """The next step after what came of the one before: a value, or an error. Raises StopIteration
    with the result.
    """
    value, error = outcome
    return steps.send(value) if error is None else steps.throw(error)


STREAM = "stream"
POLL = "poll"
WATCH = "watch"

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Retries:
    """How often a call is repeated, and how long it waits in between.

    The pause doubles from `first_pause_s` on, up to `longest_pause_s`; half of it is random. A
    Retry-After of the API is obeyed; if it is longer than `longest_asked_s`, the error is raised.
    """

    most: int = 2
    first_pause_s: float = 0.25
    longest_pause_s: float = 8.0
    longest_asked_s: float = 60.0

    def pause_s(self, tries: int, retry_after_s: float | None) -> float:
        """The pause before try `tries` + 1. `retry_after_s`: the API's Retry-After."""
        pause_s: float = min(self.first_pause_s * 2.0 ** max(0, tries - 1), self.longest_pause_s)
        jittered_s = pause_s * (0.5 + random.random() / 2)  # noqa: S311 - no secret
        return max(jittered_s, retry_after_s or 0.0)

    def pause_after(self, error: TierlineError, tries: int) -> float:
        """The pause after try `tries` failed. Raises `error` if a repeat is of no use."""
        wait_s = wait_s_of(error)
        if not is_passing(error) or tries > self.most:
            raise error
        if wait_s is not None and wait_s > self.longest_asked_s:
            raise error
        return self.pause_s(tries, wait_s)


def wait_s_of(error: TierlineError) -> float | None:
    """The Retry-After of an error."""
    return error.retry_after_s if isinstance(error, Unavailable) else None


def send(call: Call[T], retries: Retries) -> Steps[T]:
    """The parsed answer of a call, which is repeated after passing failures. Raises a
    TierlineError.
    """
    tries = 0
    while True:
        try:
            answer: Answer = yield Send(call)
            if answer.status < 400:
                return call.parse(answer)
            error: TierlineError = error_of(answer.status, answer.headers, answer.content)
        except Unavailable as silent:
            error = silent
        tries += 1
        yield Sleep(retries.pause_after(error, tries))


def is_passing(error: TierlineError) -> bool:
    """Whether a repeat may succeed."""
    if isinstance(error, LimitReached):
        return True
    if isinstance(error, Unavailable):
        return error.status is None or error.status in RETRIED
    return error.status in RETRIED


def each_job(filters: Mapping[str, object], retries: Retries) -> Generator[Step, Any, None]:
    """Emits the JSON of each job that matches, the newest first."""
    cursor: str | None = None
    while True:
        page = yield from send(list_jobs(filters, cursor), retries)
        for job in page["data"]:
            yield Emit(job)
        cursor = page["next_cursor"]
        if cursor is None:
            return
