"""Finds the evaluations that are due for a step. The dispatcher publishes a hint for each.

A hint may be lost, repeated or late, so an evaluation is due again LOST_S after its hint.
"""

from typing import Any

from psycopg_pool import ConnectionPool

from tierline.storage.evidence import evaluations

LOST_S = 5.0  # a hint is sent again if no step started within this time
AT_ONCE = 16  # most evaluations per call


def due_evaluations(pool: ConnectionPool[Any]) -> list[int]:
    """Mark the due evaluations as hinted and return their ids. The caller then publishes the hints.
    If several dispatchers call this, each evaluation goes to only one of them.
    """
    with pool.connection() as connection:
        return evaluations.take_due(connection, LOST_S, AT_ONCE)
