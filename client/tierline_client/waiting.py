"""Waiting for a job to end: by its event stream, then by long polls, then by plain polls.

A submission that is waited for is a long poll itself. A stream that breaks is resumed. A process
that already has many streams watches further jobs together, 200 in a request. While the API is
away, the wait goes on.
"""

from __future__ import annotations

from typing import Any

from tierline_client import calls
from tierline_client.calls import Answer, Submission
from tierline_client.errors import TierlineError, Unavailable, WaitTimeout, error_of
from tierline_client.retry_after import retry_after_s
from tierline_client.steps import (
    STREAM,
    WATCH,
    AskRoom,
    Follow,
    Followed,
    Now,
    Retries,
    Send,
    Sleep,
    Steps,
    Watch,
    is_passing,
    wait_s_of,
)

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
LONG_POLL_S = 20.0
GIVE_UP_S = 900.0  # without any answer of the API; a restart takes seconds, a reboot minutes
LONGEST_PAUSE_S = 5.0
MOST_BREAKS = 5  # of streams without an event in between; then jobs are polled


def wait_for(job_id: str, timeout_s: float | None, retries: Retries) -> Steps[dict[str, Any]]:
    """The job's JSON once it has ended.

    Raises WaitTimeout after `timeout_s`; without it, waits for as long as the job takes. Raises
    Unavailable if the API does not answer for GIVE_UP_S, and other TierlineErrors at once.
    """
    wait = _Wait(job_id, timeout_s, retries, (yield Now()))
    while True:
        left_s = wait.left_s((yield Now()))
        way = yield AskRoom()
        if way == WATCH:
            # Without a job: its state is unknown.
            job = (yield Watch(job_id, left_s)) or (yield from _poll(wait, left_s, None))
        elif way == STREAM and wait.may_stream:
            job = yield from _follow(wait, left_s)
        else:
            job = yield from _poll(wait, left_s)
        if job is not None:
            return job


def submit_and_wait(
    submission: Submission, key: str, timeout_s: float | None, retries: Retries
) -> Steps[dict[str, Any]]:
    """Submit a job; its JSON once it has ended. One request is enough for a job of a few seconds.

    Raises as `wait_for`.
    """
    wait = _Wait("", timeout_s, retries, (yield Now()))
    tries, received = 0, False
    while True:
        left_s = wait.left_s((yield Now()))
        shared = (yield AskRoom()) == WATCH
        wait_s = None if shared else min(LONG_POLL_S, LONG_POLL_S if left_s is None else left_s)
        call = calls.submit(submission, key, wait_s)
        try:
            answer: Answer = yield Send(call, waits=not shared)
            error = _error(answer)
            if error is not None:
                raise error
        except TierlineError as failed:
            # Once the API may have the job, its end is waited for as in `wait_for`.
            received = received or (isinstance(failed, Unavailable) and failed.maybe_received)
            tries += 1
            if received:
                yield Sleep(wait.pause_s(failed, (yield Now())))
            else:
                yield Sleep(retries.pause_after(failed, tries))
            continue
        job = call.parse(answer)
        if job["status"] in ENDED:
            return job
        left_s = wait.left_s((yield Now()), job["id"])
        return (yield from wait_for(job["id"], left_s, retries))


class _Wait:
    """How far a wait has come."""

    def __init__(
        self, job_id: str, timeout_s: float | None, retries: Retries, now_s: float
    ) -> None:
        self.job_id = job_id
        self.retries = retries
        self.last_id: str | None = None
        self.breaks = 0  # of streams, since the last event
        self.failures = 0  # since the last answer
        self.may_stream = True
        self._timeout_s = timeout_s
        self._until_s = None if timeout_s is None else now_s + timeout_s
        self._silent_since_s: float | None = None

    def left_s(self, now_s: float, job_id: str | None = None) -> float | None:
        """Seconds until the timeout; None: there is none. Raises WaitTimeout."""
        if self._until_s is None or self._timeout_s is None:
            return None
        if now_s >= self._until_s:
            raise WaitTimeout(job_id or self.job_id, self._timeout_s)
        return self._until_s - now_s

    def answered(self) -> None:
        self.failures = 0
        self._silent_since_s = None

    def pause_s(self, error: TierlineError, now_s: float) -> float:
        """The pause after a failure. Raises `error` if it will not pass, or lasts too long."""
        if not is_passing(error):
            raise error
        if error.status is not None:
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s > GIVE_UP_S:
            raise error
        self.failures += 1
        pause_s = min(self.retries.pause_s(self.failures, wait_s_of(error)), LONGEST_PAUSE_S)
        if self._until_s is not None:
            pause_s = min(pause_s, max(0.0, self._until_s - now_s))
        return pause_s


def _follow(wait: _Wait, left_s: float | None) -> Steps[dict[str, Any] | None]:
    followed: Followed = yield Follow(wait.job_id, wait.last_id, left_s)
    if followed.job is not None:
        return followed.job
    answer = followed.answer
    if answer is not None:
        wait.may_stream = False  # no room, an older API, or the last event was read
        return None
    if followed.last_id is not None and followed.last_id != wait.last_id:
        wait.last_id = followed.last_id
        wait.breaks = 0
        wait.answered()
        return None
    wait.breaks += 1
    wait.may_stream = wait.breaks < MOST_BREAKS
    # A poll tells whether the API is away.
    return (yield from _poll(wait, left_s, wait_s=None))


def _poll(
    wait: _Wait, left_s: float | None, wait_s: float | None = LONG_POLL_S
) -> Steps[dict[str, Any] | None]:
    if wait_s is not None and left_s is not None:
        wait_s = min(wait_s, left_s)
    call = calls.get_job(wait.job_id, wait_s)
    try:
        answer: Answer = yield Send(call, waits=wait_s is not None)
        error = _error(answer)
        if error is not None:
            raise error
    except TierlineError as failed:
        yield Sleep(wait.pause_s(failed, (yield Now())))
        return None
    wait.answered()
    job = call.parse(answer)
    if job["status"] in ENDED:
        return job
    if wait_s is not None and "preference-applied" not in answer.headers:
        # An API that does not wait: poll when it says.
        pause_s = retry_after_s(answer.headers.get("retry-after")) or 1.0
        yield Sleep(pause_s if left_s is None else min(pause_s, left_s))
    return None


def _error(answer: Answer) -> TierlineError | None:
    if answer.status < 400:
        return None
    return error_of(answer.status, answer.headers, answer.content)
