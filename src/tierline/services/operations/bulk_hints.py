"""Finds the bulk actions that are due for a step. The dispatcher publishes a hint for each.

A hint may be lost, repeated or late, so an action is due again LOST_S after its hint.
"""

from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tierline.storage.operations import bulk_actions

LOST_S = 5.0  # a hint is sent again if no step started within this time
AT_ONCE = 16  # most actions per call


def due_bulk_actions(pool: ConnectionPool[Any]) -> list[UUID]:
    """Mark the due actions as hinted and return their ids. The caller then publishes the hints. If
    several dispatchers call this, each action goes to only one of them.
    """
    with pool.connection() as connection:
        return bulk_actions.take_due(connection, LOST_S, AT_ONCE)
