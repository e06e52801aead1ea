"""Pausing a batch and letting it go on.

Once a pause is answered, no choice that begins later sends a waiting job of the batch to a worker.
What runs, or was sent to a worker before, ends as usual. How its waiting jobs are held:
`storage.batches.pauses`.
"""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict
from tierline.services.batches.batch import read
from tierline.storage.batches import pauses
from tierline.views.batches.batches import StoredBatch

RUNNING = ("open", "sealed")


def pause(connection: Connection[Any], account_id: int, batch_id: UUID) -> StoredBatch:
    """Pause the batch. A repeat changes nothing. Raises NotFound, and Conflict if it has ended."""
    pauses.pause(connection, account_id, batch_id)
    return _unless_ended(connection, account_id, batch_id, "paused")


def resume(connection: Connection[Any], account_id: int, batch_id: UUID) -> StoredBatch:
    """Let a paused batch go on. Nothing changes if it is not paused. Raises as `pause`."""
    pauses.resume(connection, account_id, batch_id)
    return _unless_ended(connection, account_id, batch_id, "resumed")


def _unless_ended(
    connection: Connection[Any], account_id: int, batch_id: UUID, what: str
) -> StoredBatch:
    row = read(connection, account_id, batch_id)
    if row["status"] not in RUNNING:
        raise Conflict(f"the batch is {row['status']}: it cannot be {what}")
    return row
