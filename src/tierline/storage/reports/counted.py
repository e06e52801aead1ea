"""How far the sums go. What they do not have is read from its own rows (`uncounted`)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.storage.db.homes import Span, up_to_now
from tierline.storage.db.rows import one_row
from tierline.storage.reports.floors import LOWEST

STATE = """
SELECT rolled_to, visible_to, history_from, since, tail_from,
    EXISTS (SELECT FROM sums_pending) AS pending
FROM sums_state
"""


@dataclass(frozen=True)
class Counted:
    """How far the sums go, in the present snapshot."""

    rolled_to: int
    visible_to: int
    history_from: UUID | None
    since: datetime
    tail_from: UUID | None  # no lower job has an attempt that is not counted; None: unknown
    pending: bool  # there are attempts that wait for their calls, or jobs for their attempts

    @property
    def tail(self) -> Span:
        """The ids of all jobs with something that is not counted."""
        return up_to_now(self.tail_from or LOWEST)


def counted(connection: Connection[Any]) -> Counted:
    """How far the sums go. Read it in the snapshot in which the sums are read."""
    row = one_row(connection, STATE)
    assert row is not None, "the migration writes the row"
    return Counted(**row)
