"""Reading batches for callers: a page of batches, parts, counts and rows."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.rules.batches import Progress, StoredPart
from tierline.storage.batches import batch_reads, batches
from tierline.views.batches.batches import BadRowOfBatch, JobOfBatch, StoredBatch


def list_batches(
    connection: Connection[Any],
    account_id: int,
    before: int | None,
    limit: int,
    key: str | None = None,
) -> list[StoredBatch]:
    """An account's batches with `seq` below `before`, the newest first. With `key`, only the batch
    that this Idempotency-Key stands for."""
    return batches.list_batches(connection, account_id, before, limit, key)


def parts_after(
    connection: Connection[Any], batch_id: UUID, after: int, limit: int
) -> list[StoredPart]:
    """The parts with a number above `after`, in order."""
    return batches.parts_after(connection, batch_id, after, limit)


def progress(connection: Connection[Any], batch_id: UUID) -> Progress:
    """The batch's progress, counted each time: this takes seconds for a million jobs."""
    return batch_reads.progress(connection, batch_id)


def progress_if_quick(connection: Connection[Any], batch_id: UUID) -> Progress | None:
    """The progress, or None if counting exceeds the connection's statement timeout."""
    return batch_reads.progress_if_quick(connection, batch_id)


def page(
    connection: Connection[Any],
    batch_id: UUID,
    after: int,
    limit: int,
    *,
    unanswered_only: bool = False,
) -> list[JobOfBatch | BadRowOfBatch]:
    """At most `limit` rows with `batch_row` above `after`, in the order of the input.

    `unanswered_only` leaves out jobs that are completed or have not ended.
    """
    return batch_reads.page(connection, batch_id, after, limit, unanswered_only=unanswered_only)
