"""Finds operations whose process was lost, and requeues or ends them.

A lease is a counter: the runner that holds it increases it, and others watch it with their own
clock. The counter of a killed runner no longer changes. Every trainer watches, and so does every
dispatcher: without it, an operation whose only trainer is gone could never be cancelled.
"""

import time
from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from tierline.rules.leases import LeaseWatch
from tierline.rules.operations import Change, after_loss
from tierline.storage.operations import operations
from tierline.views.operations.operations import OperationRow

log = structlog.get_logger(__name__)


class OperationLeases:
    """The watch of one process. `lease_s`: how long a counter may stay the same."""

    def __init__(self, pool: ConnectionPool[Any], kinds: Collection[str], lease_s: float) -> None:
        self._pool = pool
        self._kinds = kinds
        self._watch = LeaseWatch(lease_s, blind_s=lease_s / 2)

    def interrupted(self) -> None:
        """The database did not answer, so every lease has its full time again."""
        self._watch.interrupted()

    def look(self) -> None:
        """Requeue or end the operations whose lease was lost. Call it more often than twice per
        lease, or nothing is found.
        """
        with self._pool.connection() as connection:
            beats = operations.read_beats(connection, self._kinds)
        seen = {token: (token, beat) for token, beat in beats.items()}
        for token in self._watch.look(time.monotonic(), seen, seen):
            end(self._pool, token, _after_loss)


def end(
    pool: ConnectionPool[Any], token: UUID, decide: Callable[[OperationRow], Change]
) -> Change | None:
    """Store the result of `decide` for the operation of this token. None: the token holds no
    operation.
    """
    with pool.connection() as connection, connection.transaction():
        row = operations.lock_claimed(connection, token)
        if row is None:
            return None
        change = decide(row)
        operations.write_change(connection, row["id"], change)
    if change.failure is not None:
        log.warning("operation_failed", operation_id=row["id"], code=change.failure.code)
    return change


def is_cancelled(row: OperationRow) -> bool:
    """Whether a cancel was requested."""
    return row["cancel_requested_at"] is not None


def _after_loss(row: OperationRow) -> Change:
    return after_loss(row["losses"], cancel_requested=is_cancelled(row))
