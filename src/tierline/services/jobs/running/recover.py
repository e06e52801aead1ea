"""Ends or requeues jobs that no worker will end: lost leases, released claims, passed deadlines."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.logs import frames_of
from tierline.rules.jobs import (
    CancelRequested,
    DeadlinePassed,
    IllegalTransition,
    LeaseLost,
    Outcome,
    Released,
    Route,
    Status,
    Transition,
    next_state,
)
from tierline.rules.verdicts import Verdict
from tierline.services.jobs.dispatching.out_jobs import OutJobs
from tierline.services.webhooks.announce import announce
from tierline.storage.batches.batches import withdrawn
from tierline.storage.db.repeat import MOVED, PASSING, again_if_moved
from tierline.storage.jobs.recovery import (
    EVER_S,
    LockedJob,
    end_attempt,
    forget_attempt,
    lock_job,
    overdue,
    write_transition,
)

log = structlog.get_logger(__name__)

NO_ROUTE = Route(tiers=())  # no transition here goes to another tier
OVERDUE_AT_ONCE = 500
MOST_S = 1.0
"""The longest time that one round spends on one kind of jobs. The next round uses another order, so
that jobs that are always locked do not keep the others waiting."""
LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, MOVED)
ODD = (ValueError, KeyError, TypeError, psycopg.DataError, psycopg.IntegrityError)
"""Errors that a single row may cause. The other rows are still processed."""


def move(connection: Connection[Any], locked: LockedJob, outcome: Outcome) -> Transition:
    """Decide and write the transition, in the caller's transaction, which holds the job's lock.

    Raises IllegalTransition if the outcome cannot happen to the job in its state.
    """
    transition = next_state(locked.state, outcome, NO_ROUTE)
    write_transition(connection, locked, transition)
    if transition.terminal:
        announce(connection, f"job.{transition.job.status}", locked.job_id)
    return transition


def each(
    connection: Connection[Any], ids: Iterable[UUID], doing: str, do: Callable[[UUID], object]
) -> None:
    """Call `do` for each, in a transaction of its own, for about MOST_S seconds. A row that is
    locked or raises one of ODD is logged and left until the next round.
    """
    until_s = time.monotonic() + MOST_S
    shuffled = list(ids)
    random.shuffle(shuffled)
    for id in shuffled:
        if time.monotonic() > until_s:
            return
        try:
            with connection.transaction():
                do(id)
        except LOCKED as error:
            log.warning("left_locked", doing=doing, id=str(id), error=type(error).__name__)
        except ODD as error:
            kind = type(error).__name__
            log.error("left_odd", doing=doing, id=str(id), error=kind, at=frames_of(error))


def recover_lost(pool: ConnectionPool[Any], lost: Mapping[UUID, UUID]) -> list[UUID]:
    """Requeue the jobs of lost leases, each by its token. Locked ones wait for the next round.

    Returns the jobs that were requeued or ended.
    """
    tokens, moved = set(lost), list[UUID]()
    reason = "its worker's heartbeat stopped"
    with pool.connection() as connection:

        def recover(job_id: UUID) -> None:
            locked = lock_job(connection, job_id, wait=False)
            if _take_back(connection, locked, tokens, LeaseLost(), Verdict.WORKER_LOST, reason):
                moved.append(job_id)

        each(connection, lost.values(), "recovering lost jobs", recover)
    return moved


def release(pool: ConnectionPool[Any], held: Mapping[UUID, UUID]) -> list[UUID]:
    """Give back the unfinished jobs of a worker that stops, each by its token. Returns the jobs
    that changed.
    """
    tokens, moved = set(held), list[UUID]()
    reason = "its worker was stopped"
    with pool.connection() as connection:

        def give_up(job_id: UUID) -> bool:
            with connection.transaction():
                locked = lock_job(connection, job_id)
                return _take_back(
                    connection, locked, tokens, Released(), Verdict.SUPERSEDED, reason
                )

        for job_id in held.values():
            if again_if_moved(partial(give_up, job_id)):
                moved.append(job_id)
    return moved


def give_back(connection: Connection[Any], job_id: UUID, token: UUID, wait_s: float) -> bool:
    """Undo the claim of a job that sent no call. Nobody can claim the job for `wait_s`.

    Returns whether the token held the claim. Safe to repeat.
    """
    with connection.transaction():
        locked = lock_job(connection, job_id)
        if locked is None or locked.token != token or locked.state.status is not Status.IN_PROGRESS:
            return False
        forget_attempt(connection, locked)
        move(connection, locked, Released(wait_s))
    return True


def _take_back(
    connection: Connection[Any],
    locked: LockedJob | None,
    tokens: set[UUID],
    outcome: LeaseLost | Released,
    verdict: Verdict,
    reason: str,
) -> bool:
    """End the attempt that one of the tokens holds. False if its worker has ended it by now."""
    if (
        locked is None
        or locked.token not in tokens
        or locked.state.status is not Status.IN_PROGRESS
    ):
        return False
    end_attempt(connection, locked, verdict, reason)
    transition = move(connection, locked, outcome)
    log.warning(
        "claim_taken_back",
        job_id=str(locked.job_id),
        attempt=locked.attempt,
        verdict=str(verdict),
        losses=transition.job.losses,
        status=str(transition.job.status),
    )
    return True


class Looks:
    """When to look at all deadlines, and when at those of the last moments alone.

    Beside a held snapshot, jobs that ended stay in the index of deadlines. A look at all of them
    then takes long, and is made only so often that all looks use at most 1/SHARE of the time.
    """

    SHARE = 20.0
    SHORT_S = 0.05  # a look that takes less is made each time

    def __init__(self) -> None:
        self._last_s = self.next_s = 0.0  # monotonic: the last look at all, and the next one

    def since_s(self) -> float:
        """How far back to look now, in seconds."""
        now_s = time.monotonic()
        if now_s >= self.next_s:
            return EVER_S
        return now_s - self._last_s + 60.0  # of a process whose transaction commits late

    def took(self, since_s: float, began_s: float) -> None:
        """A look so far back is done."""
        if since_s < EVER_S:
            return
        now_s = time.monotonic()
        long = now_s - began_s > self.SHORT_S
        self._last_s, self.next_s = began_s, now_s + self.SHARE * (now_s - began_s) * long


LOOKS = Looks()


def expire_overdue(pool: ConnectionPool[Any], looks: Looks = LOOKS) -> list[UUID]:
    """End queued jobs whose deadline has passed. Locked ones wait for the next round.

    Returns the jobs that were ended.
    """
    expired: list[UUID] = []
    with pool.connection() as connection:

        def expire(job_id: UUID) -> None:
            locked = lock_job(connection, job_id, wait=False)
            if locked is None or not locked.state.deadline_passed:
                return
            try:
                move(connection, locked, DeadlinePassed())
            except IllegalTransition:
                return  # claimed by now: its worker handles the deadline
            expired.append(job_id)
            log.info("job_expired", job_id=str(job_id))

        began_s, since_s = time.monotonic(), looks.since_s()
        job_ids = again_if_moved(lambda: overdue(connection, OVERDUE_AT_ONCE, since_s))
        looks.took(since_s, began_s)
        each(connection, job_ids, "expiring jobs", expire)
    return expired


def cancel_withdrawn(pool: ConnectionPool[Any], job_id: UUID) -> bool:
    """End a queued job of a cancelled batch, which no worker may claim. False if it is not one.

    Otherwise its hint would count as lost and be sent again until the batch's cancel reaches it.
    """
    try:
        with pool.connection() as connection, connection.transaction():
            if not withdrawn(connection, job_id):
                return False
            locked = lock_job(connection, job_id)
            if locked is None or locked.state.status is not Status.QUEUED:
                return False
            move(connection, locked, CancelRequested())
    except PASSING as error:
        log.warning("withdrawn_job_left", job_id=str(job_id), error=type(error).__name__)
        return False
    return True


def claims_in_sight(pool: ConnectionPool[Any], out_jobs: OutJobs) -> dict[UUID, UUID]:
    """Every job in progress, by the token of its claim."""
    with pool.connection() as connection:
        return {
            job.token: job.job_id
            for job in out_jobs.read(connection)
            if not job.hinted and job.token is not None
        }
