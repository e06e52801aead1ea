"""One operation, as the function that does it sees it: what was asked, and how to say how it goes.

It runs in the child process. Every write names the claim's token, so that a child whose lease was
lost, or that was cancelled, changes nothing any more.
"""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.json_text import JSON
from tierline.storage.operations import operations

EVERY_S = 0.5  # between two notes of progress within a phase


class Superseded(Exception):
    """A cancel was asked for, or another process has the operation: stop, and write nothing."""


@dataclass
class Work:
    """An operation that this process has claimed."""

    pool: ConnectionPool[Any]
    token: UUID
    feature: str
    options: dict[str, JSON]
    readable_account_id: int | None  # whose jobs' content it may read; None: every account's
    _phase: str | None = None
    _noted_s: float = field(default=0.0)

    def progress(self, phase: str, done: int = 0, of: int = 0) -> None:
        """Say how far it is: `done` of `of` in this phase; 0 of 0 where that is not known.

        Raises Superseded.
        """
        now_s = time.monotonic()
        if phase == self._phase and done < of and now_s - self._noted_s < EVERY_S:
            return
        self._phase, self._noted_s = phase, now_s
        told = {"phase": phase, "done": done, "of": of}
        with self.pool.connection() as connection:
            if not operations.note_progress(connection, self.token, told):
                raise Superseded

    def complete(self, connection: Connection[Any], result: JSON) -> None:
        """Complete it, in the caller's transaction that keeps what was made. Raises Superseded,
        which has to leave that transaction.
        """
        if not operations.complete(connection, self.token, result):
            raise Superseded
