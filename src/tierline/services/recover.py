"""Jobs that their workers will not end: lost leases, released claims, deadlines gone by."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.jobs import (
    CancelAsked,
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
from tierline.services.announce import announce
from tierline.storage.batches import withdrawn
from tierline.storage.recovery import (
    LockedJob,
    end_attempt,
    lock_job,
    overdue,
    release_claims,
    running_claims,
    write_transition,
)
from tierline.storage.repeat import PASSING
from tierline.verdicts import Verdict

log = structlog.get_logger(__name__)

NO_ROUTE = Route(tiers=())  # none of what happens here goes to another tier
OVERDUE_AT_ONCE = 500


def move(connection: Connection[Any], locked: LockedJob, outcome: Outcome) -> Transition:
    """Decide and write, in the caller's transaction, which holds the job's lock.

    Raises IllegalTransition when the outcome cannot happen to the job as it is.
    """
    transition = next_state(locked.state, outcome, NO_ROUTE)
    write_transition(connection, locked, transition)
    if transition.terminal:
        announce(connection, f"job.{transition.job.status}", locked.job_id)
    return transition


def recover_lost(pool: ConnectionPool[Any], tokens: Iterable[UUID]) -> list[UUID]:
    """Take the jobs of lost leases up again. Returns the jobs that moved."""
    reason = "its worker's heartbeat stopped"
    return _take_back(pool, tokens, LeaseLost(), Verdict.WORKER_LOST, reason)


def release(pool: ConnectionPool[Any], tokens: Iterable[UUID]) -> list[UUID]:
    """Give jobs back unfinished, because their worker stops at once. Returns those that moved."""
    return _take_back(pool, tokens, Released(), Verdict.SUPERSEDED, "its worker was stopped")


def _take_back(
    pool: ConnectionPool[Any],
    tokens: Iterable[UUID],
    outcome: LeaseLost | Released,
    verdict: Verdict,
    reason: str,
) -> list[UUID]:
    lost = set(tokens)
    moved = []
    with pool.connection() as connection:
        for job_id in release_claims(connection, lost):
            with connection.transaction():
                locked = lock_job(connection, job_id)
                if (
                    locked is None
                    or locked.token not in lost
                    or locked.state.status is not Status.IN_PROGRESS
                ):
                    continue  # its worker ended it after all
                end_attempt(connection, locked, verdict, reason)
                transition = move(connection, locked, outcome)
            moved.append(job_id)
            log.warning(
                "claim_taken_back",
                job_id=str(job_id),
                attempt=locked.attempt,
                verdict=str(verdict),
                losses=transition.job.losses,
                status=str(transition.job.status),
            )
    return moved


def expire_overdue(pool: ConnectionPool[Any]) -> list[UUID]:
    """End queued jobs whose deadline has gone by. Returns them."""
    expired = []
    with pool.connection() as connection:
        for job_id in overdue(connection, OVERDUE_AT_ONCE):
            with connection.transaction():
                locked = lock_job(connection, job_id)
                if locked is None or not locked.state.deadline_passed:
                    continue
                try:
                    move(connection, locked, DeadlinePassed())
                except IllegalTransition:
                    continue  # claimed meanwhile: its worker sees the deadline
            expired.append(job_id)
            log.info("job_expired", job_id=str(job_id))
    return expired


def cancel_withdrawn(pool: ConnectionPool[Any], job_id: UUID) -> bool:
    """End a queued job of a cancelled batch, which no worker may claim. Whether it was one.

    Its hint would otherwise be taken for lost and given again until the cancel comes to it.
    """
    try:
        with pool.connection() as connection, connection.transaction():
            if not withdrawn(connection, job_id):
                return False
            locked = lock_job(connection, job_id)
            if locked is None or locked.state.status is not Status.QUEUED:
                return False
            move(connection, locked, CancelAsked())
    except PASSING as error:
        log.warning("withdrawn_job_left", job_id=str(job_id), error=type(error).__name__)
        return False
    return True


def claims_in_sight(pool: ConnectionPool[Any]) -> list[UUID]:
    """The tokens of every job in progress."""
    with pool.connection() as connection:
        return [token for _, token in running_claims(connection)]
