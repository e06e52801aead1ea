"""The events of a job, derived from its row and its attempts.

Nothing is stored for them: the same rows give the same events with the same numbers in every
process, so a stream can be resumed anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tierline.rules.jobs import TERMINAL, Status

QUEUED = "job.queued"
STARTED = "job.started"
ESCALATED = "job.escalated"
JOB_EVENTS = (
    QUEUED,
    STARTED,
    ESCALATED,
    *(f"job.{status}" for status in Status if status in TERMINAL),
)


@dataclass(frozen=True)
class AttemptFacts:
    """One attempt, as far as events need it."""

    number: int  # from 1
    tier: str
    started_at: datetime
    ended_at: datetime | None
    verdict: str | None
    reason: str | None


@dataclass(frozen=True)
class JobFacts:
    """A job with its attempts in order, as one statement read them."""

    status: str
    tier: str  # where it is, or ended
    created_at: datetime
    completed_at: datetime | None
    attempts: Sequence[AttemptFacts]
    micro_tier: str | None  # the feature's first tier, if that calls no model


@dataclass(frozen=True)
class JobEvent:
    """One event. Its number is larger than those of the job's earlier events."""

    number: int
    type: str
    at: datetime
    status: str  # of the job then
    tier: str  # where the job was then
    attempt: int | None  # the attempt that started or ended
    reason: str | None = None  # why that attempt was not the last one: may quote content

    @property
    def last(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL


def position(status: str, attempts: int) -> int:
    """The number of the last event of a job in this state, without its attempts' rows."""
    if status in TERMINAL:
        return 2 * attempts + 2
    return 2 * attempts - (status == Status.IN_PROGRESS)


def events_of(job: JobFacts, after: int = -1) -> Iterator[JobEvent]:
    """The job's events so far whose number is above `after`, in order.

    Attempt n starts with event 2n - 1. If another one follows, 2n says why the job waits again. The
    end has a number above every other one. An escalation from a micro tier is no event, because it
    takes no time that a caller would notice.
    """
    return (event for event in _all(job) if event.number > after)


def _all(job: JobFacts) -> Iterator[JobEvent]:
    first = job.attempts[0].tier if job.attempts else job.tier
    yield JobEvent(0, QUEUED, job.created_at, Status.QUEUED, first, None)
    ended = job.status in TERMINAL
    for place, attempt in enumerate(job.attempts):
        number = attempt.number
        yield JobEvent(
            *(2 * number - 1, STARTED, attempt.started_at, Status.IN_PROGRESS),
            *(attempt.tier, number),
        )
        last = place == len(job.attempts) - 1
        tier = job.tier if last else job.attempts[place + 1].tier
        moved = tier != attempt.tier
        if attempt.ended_at is None or (last and ended and not moved):
            continue
        if last and job.status == Status.IN_PROGRESS:
            continue
        if moved and attempt.tier == job.micro_tier:
            continue
        reason = ": ".join(part for part in (attempt.verdict, attempt.reason) if part) or None
        kind = ESCALATED if moved else QUEUED
        yield JobEvent(2 * number, kind, attempt.ended_at, Status.QUEUED, tier, number, reason)
    if ended and job.completed_at is not None:
        last_number = job.attempts[-1].number if job.attempts else None
        yield JobEvent(
            2 * (last_number or 0) + 2,
            f"job.{job.status}",
            job.completed_at,
            job.status,
            job.tier,
            last_number,
        )
