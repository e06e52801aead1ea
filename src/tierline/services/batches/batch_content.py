"""Removing the inputs and outputs of a whole batch at once.

That is its jobs' content, as for one job, and the problems of its invalid rows. The batch, its
counts and its costs stay.
"""

import time
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection

from tierline.base.errors import Conflict
from tierline.services.batches import batch
from tierline.services.upkeep.retention import AT_ONCE, forget_problems
from tierline.storage.upkeep import retention
from tierline.storage.upkeep.retention import What

log = structlog.get_logger(__name__)

REMOVE_S = 2.0  # of one request: about ten thousand jobs
BOTH = What(inputs=True, outputs=True)


def remove_batch_content(connection: Connection[Any], account_id: int, batch_id: UUID) -> bool:
    """Remove content of the batch's jobs for up to REMOVE_S. True if nothing is left to remove.

    A repeat continues; it changes nothing once all is removed. Feedback stays if the feature keeps
    labelled content. Raises NotFound if the account has no such batch, Conflict while some of its
    jobs have not ended.
    """
    row = batch.read(connection, account_id, batch_id)
    if row["completed_at"] is None:
        raise Conflict(
            f"the batch is {row['status']} and some of its jobs have not ended: cancel it, or wait"
            " until they have ended"
        )
    until_s = time.monotonic() + REMOVE_S
    removed = 0
    done = False
    after = 0
    while not done:
        jobs = retention.of_batch(connection, batch_id, after, AT_ONCE)
        if jobs:
            after = jobs[-1][0]
            removed += _remove(connection, [job_id for _, job_id in jobs])
        done = len(jobs) < AT_ONCE
        if time.monotonic() > until_s:
            break
    if done and row["input_removed_at"] is None:
        done = forget_problems(connection, batch_id, until_s)
    # Jobs whose rows were locked (to add feedback, or by another removal) were skipped.
    left = bool(retention.of_batch(connection, batch_id, 0, 1)) if done else True
    log.info("content_removed", batch_id=str(batch_id), jobs=removed, left=left)
    return not left


def _remove(connection: Connection[Any], job_ids: list[UUID]) -> int:
    with connection.transaction():
        locked = retention.lock_ended(connection, job_ids, BOTH)
        if locked:
            keep = retention.keeps_labelled(connection, locked[0])  # one feature's, all of them
            retention.remove(connection, locked, BOTH, keep_feedback=keep)
    return len(locked)
