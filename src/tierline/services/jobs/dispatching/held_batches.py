"""Holds the waiting jobs of paused batches, and lets those of resumed batches go.

How they are held: `storage.batches.pauses`.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.services.jobs.running.recover import each
from tierline.storage.batches import pauses
from tierline.storage.batches.pauses import Holding

CHUNK = 1_000  # jobs per transaction, which takes some 50 ms
MOST_S = 1.0  # of one look


class HeldBatches:
    """Holds the waiting jobs of paused batches, and lets those of resumed ones go; one a process.

    Nothing depends on when it does so: a choice sends no job of a paused batch, held or not. It
    remembers up to which row a batch was handled. A process that starts begins again, which reads
    the rows and changes none twice.
    """

    def __init__(self) -> None:
        self._up_to: dict[Holding, int] = {}  # batch_row

    def look(self, pool: ConnectionPool[Any], keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Go on for about MOST_S seconds. Returns whether jobs were let go, which no arrival shows
        to a dispatcher.
        """
        until_s = time.monotonic() + MOST_S
        let_go, more = False, True
        with pool.connection() as connection:
            while more and keep_on() and time.monotonic() < until_s:
                more = False
                batches = {one.batch_id: one for one in pauses.holding(connection)}
                states = set(batches.values())
                self._up_to = {one: row for one, row in self._up_to.items() if one in states}

                def handle(batch_id: UUID) -> None:
                    nonlocal let_go, more
                    if self._handle(connection, batches[batch_id]):  # noqa: B023 - used at once
                        more = True
                        let_go = let_go or not batches[batch_id].paused  # noqa: B023

                each(connection, batches, "holding paused batches", handle)
        return let_go

    def _handle(self, connection: Connection[Any], batch: Holding) -> bool:
        """Handle the next jobs, in the caller's transaction. Returns whether there were any."""
        if pauses.lock(connection, batch.batch_id) != batch:
            return False  # it has changed meanwhile: the next look handles it
        if not batch.running:
            pauses.note_holds_none(connection, batch.batch_id)
            return False
        after = self._up_to.get(batch, -1)
        change = pauses.hold_next if batch.paused else pauses.let_go_next
        done = change(connection, batch.batch_id, after, CHUNK)
        self._up_to[batch] = done.last_row
        if not batch.paused and not done.jobs:
            pauses.note_holds_none(connection, batch.batch_id)
            self._up_to[batch] = -1  # unless it is done: jobs that others had locked
        return done.jobs > 0
