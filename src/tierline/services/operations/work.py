"""The operation as passed to its function: the options, and methods to report progress and the end.

It is used in the child process. Every write names the claim token. So a child that lost its lease
or was cancelled changes nothing.
"""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.json_text import JSON
from tierline.storage.operations import operations

EVERY_S = 0.5  # between two progress updates within a phase


class Superseded(Exception):
    """A cancel was requested, or the lease was lost. Stop, and write nothing."""


@dataclass
class Work:
    """An operation that this process has claimed."""

    pool: ConnectionPool[Any]
    token: UUID
    feature: str
    options: dict[str, JSON]
    # the account whose job content it may read; None: all accounts
    readable_account_id: int | None
    _phase: str | None = None
    _noted_s: float = field(default=0.0)

    def progress(self, phase: str, done: int = 0, of: int = 0) -> None:
        """Report progress: `done` of `of` steps of this phase; 0 of 0 means unknown.

        Raises Superseded.
        """
        now_s = time.monotonic()
        if phase == self._phase and done < of and now_s - self._noted_s < EVERY_S:
            return
        self._phase, self._noted_s = phase, now_s
        document = {"phase": phase, "done": done, "of": of}
        with self.pool.connection() as connection:
            if not operations.note_progress(connection, self.token, document):
                raise Superseded

    def complete(self, connection: Connection[Any], result: JSON) -> None:
        """Complete the operation, in the same transaction in which the caller stores its result.
        Raises Superseded. Let it leave that transaction, so that it is rolled back.
        """
        if not operations.complete(connection, self.token, result):
            raise Superseded
