"""Ends jobs that no worker ends: lost leases, deadlines, cancels of waiting jobs.

Each change reads its job under a row lock, calls `jobs.next_state`, and writes the result, in one
short transaction.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.rules.jobs import JobState, Status, Transition
from tierline.rules.queues import QUARANTINE
from tierline.rules.verdicts import Verdict


@dataclass(frozen=True)
class LockedJob:
    """A job under this transaction's row lock."""

    job_id: UUID
    account_id: int
    tier: str
    token: UUID | None
    attempt: int
    queue: str
    state: JobState


LOCK = """
SELECT id AS job_id, account_id, tier, claim_token AS token, attempts AS attempt,
    queue, status, tier_index, failures, losses,
    cancel_requested_at IS NOT NULL AS cancel_requested,
    coalesce(deadline_at <= clock_timestamp(), false) AS deadline_passed
FROM jobs WHERE id = %s FOR UPDATE
"""
LOCK_FREE = f"{LOCK.rstrip()} SKIP LOCKED\n"

WRITE = """
UPDATE jobs SET
    status = %(status)s, queue = %(queue)s,
    run_after = clock_timestamp() + make_interval(secs => %(wait_s)s), hint_no = NULL,
    failures = %(failures)s, losses = %(losses)s,
    cancel_requested_at = CASE WHEN %(cancel_requested)s
        THEN coalesce(cancel_requested_at, clock_timestamp()) ELSE cancel_requested_at END,
    completed_at = CASE WHEN %(terminal)s THEN clock_timestamp() END,
    error_code = %(error_code)s, error_message = %(error_message)s,
    part = CASE WHEN %(terminal)s THEN 2 ELSE 1 END
WHERE id = %(job_id)s AND part < 2
"""


OVERDUE = """
SELECT id FROM jobs WHERE part < 2 AND status = 'queued' AND deadline_at <= statement_timestamp()
    AND deadline_at > statement_timestamp() - make_interval(secs => %s)
LIMIT %s FOR UPDATE SKIP LOCKED
"""
EVER_S = 3e9  # a hundred years


def overdue(connection: Connection[Any], most: int, since_s: float = EVER_S) -> list[UUID]:
    """Queued jobs whose deadline passed within the last `since_s` seconds, and that nobody has
    locked. Locked ones do not hide others.
    """
    rows = connection.execute(OVERDUE, (since_s, most))
    return [job_id for (job_id,) in rows]


def lock_job(connection: Connection[Any], job_id: UUID, *, wait: bool = True) -> LockedJob | None:
    """The job, locked against changes by others until this transaction ends.

    None if there is none; without `wait` also if another transaction has locked it.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(LOCK if wait else LOCK_FREE, (job_id,)).fetchone()
    if row is None:
        return None
    return LockedJob(
        job_id=row["job_id"],
        account_id=row["account_id"],
        tier=row["tier"],
        token=row["token"],
        attempt=row["attempt"],
        queue=row["queue"],
        state=JobState(
            status=Status(row["status"]),
            tier_index=row["tier_index"],
            failures=row["failures"],
            losses=row["losses"],
            cancel_requested=row["cancel_requested"],
            deadline_passed=row["deadline_passed"],
        ),
    )


def write_transition(
    connection: Connection[Any], locked: LockedJob, transition: Transition
) -> None:
    """Write the transition of a job that is locked here; its tier stays the same."""
    after = transition.job
    connection.execute(
        WRITE,
        {
            "job_id": locked.job_id,
            "status": after.status,
            "queue": QUARANTINE if after.quarantined else locked.queue,
            "wait_s": transition.wait_s,
            "failures": after.failures,
            "losses": after.losses,
            "cancel_requested": after.cancel_requested,
            "terminal": transition.terminal,
            "error_code": transition.error and transition.error.code,
            "error_message": transition.error and transition.error.message,
        },
    )


def end_attempt(
    connection: Connection[Any], locked: LockedJob, verdict: Verdict, reason: str
) -> None:
    """Write the verdict of a locked job's running attempt, because its worker cannot."""
    connection.execute(
        "UPDATE attempts SET ended_at = clock_timestamp(), verdict = %s, reason = %s"
        " WHERE job_id = %s AND number = %s AND verdict IS NULL",
        (verdict, reason, locked.job_id, locked.attempt),
    )


def forget_attempt(connection: Connection[Any], locked: LockedJob) -> None:
    """Delete the running attempt of a locked job from which nothing was sent, with the call that
    its claim recorded.
    """
    for table, number in (("calls", "attempt"), ("attempts", "number")):
        connection.execute(
            f"DELETE FROM {table} WHERE job_id = %s AND {number} = %s",
            (locked.job_id, locked.attempt),
        )
    connection.execute(
        "UPDATE jobs SET attempts = attempts - 1,"
        " started_at = CASE WHEN attempts > 1 THEN started_at END WHERE id = %s AND part < 2",
        (locked.job_id,),
    )
