"""Holds the waiting jobs of paused batches, and lets those of resumed batches go.

How they are held: `storage.batches.pauses`.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.services.jobs.dispatching.out_jobs import Rescan
from tierline.services.jobs.running.recover import each
from tierline.storage.batches import pauses
from tierline.storage.batches.pauses import Holding

CHUNK = 1_000  # jobs per transaction, which takes some 50 ms
MOST_S = 1.0  # of one look


class HeldBatches:
    """Holds the waiting jobs of paused batches, and lets those of resumed ones go; one a process.

    Nothing depends on when it does so: a choice sends no job of a paused batch, held or not. It
    remembers up to which row a batch was handled, and begins again now and then, because parts may
    arrive in any order. Beginning again reads the rows and changes none twice.
    """

    def __init__(self) -> None:
        self._up_to: dict[Holding, int] = {}  # batch_row
        self._batches: frozenset[Holding] = frozenset()  # as last seen
        self._again = Rescan()

    def look(self, pool: ConnectionPool[Any], keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Go on for about MOST_S seconds. Returns whether jobs were let go, by this process or
        another, which no arrival shows to a dispatcher.
        """
        until_s = time.monotonic() + MOST_S
        let_go, handled = False, 1
        begins_again = self._again.due()
        if begins_again:
            self._up_to.clear()
            self._again.begins()
        with pool.connection() as connection:
            while handled and keep_on() and time.monotonic() < until_s:
                batches = frozenset(pauses.holding(connection))
                let_go = let_go or bool(self._batches - batches)  # resumed, or all were let go
                self._batches = batches
                self._up_to = {one: row for one, row in self._up_to.items() if one in batches}
                # Resumed ones first, so that any number of paused batches does not hold them up.
                resumed = self._handle_each(connection, (one for one in batches if not one.paused))
                paused = self._handle_each(connection, (one for one in batches if one.paused))
                let_go = let_go or resumed > 0
                handled = resumed + paused
        if begins_again:
            self._again.ended()
        return let_go

    def _handle_each(self, connection: Connection[Any], batches: Iterable[Holding]) -> int:
        """Handle the next jobs of each. Returns of how many batches there were any."""
        by_id = {one.batch_id: one for one in batches}
        handled = []

        def handle(batch_id: UUID) -> None:
            if self._handle(connection, by_id[batch_id]):
                handled.append(batch_id)

        each(connection, by_id, "holding paused batches", handle)
        return len(handled)

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
