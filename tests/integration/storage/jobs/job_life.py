"""The life of a job as the model of `test_job_life.py` knows it: what each act makes of it.

Pure. An act here is one that the product does by a statement of its own; `jobs.next_state` decides
on the state, and this file on all that is booked beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import permutations
from uuid import UUID

from tierline.rules.jobs import (
    TERMINAL,
    CancelRequested,
    Claimed,
    DeadlinePassed,
    JobState,
    LeaseLost,
    Outcome,
    Released,
    Route,
    Status,
    next_state,
)
from tierline.rules.queues import lane
from tierline.rules.verdicts import Verdict

ROUTE = Route(tiers=(0, 1))


@dataclass(frozen=True)
class Attempt:
    token: UUID
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Call:
    settled: bool = False
    cost_usd: Decimal | None = None


@dataclass(frozen=True)
class Life:
    """One job with all that belongs to it."""

    state: JobState
    hooked: bool  # somebody is told of its end and of its escalation
    delayed: bool = False  # may not be claimed yet
    token: UUID | None = None  # of the claim that holds it; None unless it is in progress
    attempts: tuple[Attempt, ...] = ()  # number 1 first
    calls: tuple[tuple[tuple[int, int], Call], ...] = ()  # by (attempt, number), in order
    served: int | None = None  # the attempt whose answer its caller gets
    error: str | None = None
    events: tuple[str, ...] = ()  # of its webhooks, in order of name
    endings: int = 0  # how often it ended, or changed after its end

    @property
    def queue(self) -> str:
        return lane(self.state.tier_index, backfill=False, quarantined=self.state.quarantined)

    def moved(self, outcome: Outcome, attempt: int | None = None) -> "Life":
        """After an outcome that `next_state` allows; `attempt` is the one that may be served."""
        transition = next_state(self.state, outcome, ROUTE)
        after = transition.job
        events = [*self.events]
        if self.hooked and transition.terminal:
            events.append(f"job.{after.status}")
        elif self.hooked and transition.escalation_reason is not None:
            events.append("job.escalated")
        return replace(
            self,
            state=after,
            delayed=transition.wait_s > 0,
            token=self.token if after.status is Status.IN_PROGRESS else None,
            served=attempt if transition.serve_answer else None,
            error=transition.error.code if transition.error else None,
            events=tuple(sorted(events)),
            endings=self.endings + transition.terminal,
        )

    def ended_as(self, number: int, verdict: Verdict) -> "Life":
        """With the verdict of an attempt."""
        attempts = list(self.attempts)
        attempts[number - 1] = replace(attempts[number - 1], verdict=verdict)
        return replace(self, attempts=tuple(attempts))

    def with_call(self, attempt: int, number: int, call: Call) -> "Life":
        """With a call's row; one that is settled already stays as it is."""
        calls = dict(self.calls)
        before = calls.get((attempt, number))
        if before is None or (call.settled and not before.settled):
            calls[attempt, number] = call
        return replace(self, calls=tuple(sorted(calls.items(), key=lambda one: one[0])))


@dataclass(frozen=True)
class Claim:
    """A worker takes the job if it waits in one of its queues."""

    token: UUID
    queues: tuple[str, ...]

    def on(self, life: Life) -> Life:
        state = life.state
        if state.status is not Status.QUEUED or life.queue not in self.queues:
            return life
        if life.delayed or state.deadline_passed:
            return life
        number = len(life.attempts) + 1
        taken = replace(
            life.moved(Claimed()),
            token=self.token,
            attempts=(*life.attempts, Attempt(self.token)),
        )
        return taken.with_call(number, 1, Call())


@dataclass(frozen=True)
class Book:
    """Its worker settles one call and books the next, whoever holds the job by now."""

    token: UUID
    attempt: int
    number: int  # of the call that is settled
    cost_usd: Decimal

    def on(self, life: Life) -> Life:
        settled = life.with_call(self.attempt, self.number, Call(True, self.cost_usd))
        return settled.with_call(self.attempt, self.number + 1, Call())


@dataclass(frozen=True)
class Finish:
    """Its worker ends the attempt; the last call is paid for, whoever holds the job by now."""

    token: UUID
    attempt: int
    number: int  # of the last call
    cost_usd: Decimal | None
    outcome: Outcome
    verdict: Verdict

    def on(self, life: Life) -> Life:
        paid = life.with_call(self.attempt, self.number, Call(True, self.cost_usd))
        if life.token != self.token:
            return paid
        return paid.moved(self.outcome, self.attempt).ended_as(self.attempt, self.verdict)


@dataclass(frozen=True)
class TakeBack:
    """The lease of a claim is lost, or its worker gives it back."""

    token: UUID
    lost: bool

    def on(self, life: Life) -> Life:
        if life.token != self.token:
            return life
        verdict = Verdict.WORKER_LOST if self.lost else Verdict.SUPERSEDED
        moved = life.moved(LeaseLost() if self.lost else Released())
        return moved.ended_as(len(life.attempts), verdict)


@dataclass(frozen=True)
class Cancel:
    """Its caller withdraws it."""

    def on(self, life: Life) -> Life:
        if life.state.status in TERMINAL or life.state.cancel_requested:
            return life
        return life.moved(CancelRequested())


@dataclass(frozen=True)
class PassDeadline:
    """Its deadline goes by."""

    def on(self, life: Life) -> Life:
        return replace(life, state=replace(life.state, deadline_passed=True))


@dataclass(frozen=True)
class Expire:
    """The dispatcher ends what waited past its deadline."""

    def on(self, life: Life) -> Life:
        waits = life.state.status is Status.QUEUED
        return life.moved(DeadlinePassed()) if waits and life.state.deadline_passed else life


@dataclass(frozen=True)
class ComeDue:
    """The time that a retry waits goes by."""

    def on(self, life: Life) -> Life:
        return replace(life, delayed=False)


@dataclass(frozen=True)
class Hint:
    """The dispatcher gives it out, or for lost, as often as it likes: no job changes by it."""

    lost: bool

    def on(self, life: Life) -> Life:
        return life


Act = Claim | Book | Finish | TakeBack | Cancel | PassDeadline | Expire | ComeDue | Hint


def after(life: Life, acts: Iterable[Act]) -> Life:
    """What becomes of a job by these acts in this order."""
    for act in acts:
        life = act.on(life)
    return life


def in_any_order(life: Life, acts: Iterable[Act]) -> list[Life]:
    """What may have become of it when they were done at once."""
    return [after(life, order) for order in permutations(acts)]
