"""Completing batches when the last job has ended, and cancelling them a chunk at a time."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.rules.jobs import TERMINAL, CancelRequested
from tierline.services.jobs.running.recover import each, move
from tierline.services.webhooks.announce import announce_batch
from tierline.storage.batches import batches
from tierline.storage.jobs.recovery import lock_job

CANCEL_AT_ONCE = 200  # jobs per transaction


def complete_finished(connection: Connection[Any]) -> list[UUID]:
    """Complete the sealed batches whose jobs have all ended, and announce it. Returns their ids.

    Also continues with cancelled batches, a chunk at a time. Call it regularly. Each batch has a
    transaction of its own; a locked batch is left until the next call.
    """
    left = CANCEL_AT_ONCE
    completed: list[UUID] = []

    def cancel(batch_id: UUID) -> None:
        nonlocal left
        left -= cancel_some(connection, batch_id, left)

    def complete(batch_id: UUID) -> None:
        if batches.complete_sealed(connection, batch_id):
            announce_batch(connection, batch_id)
            completed.append(batch_id)

    each(connection, batches.cancelled_and_unfinished(connection), "cancelling batches", cancel)
    each(connection, batches.sealed_and_ended(connection), "completing batches", complete)
    return completed


def cancel_some(connection: Connection[Any], batch_id: UUID, most: int) -> int:
    """Cancel at most `most` jobs of the batch, in the caller's transaction. Returns how many were
    examined. Locked jobs are skipped.
    """
    jobs = batches.uncancelled_jobs(connection, batch_id, most) if most > 0 else []
    for job_id in jobs:
        locked = lock_job(connection, job_id)
        if locked is None or locked.state.status in TERMINAL or locked.state.cancel_requested:
            continue
        move(connection, locked, CancelRequested())
    if len(jobs) < most:
        batches.note_cancelled(connection, batch_id)
    return len(jobs)
