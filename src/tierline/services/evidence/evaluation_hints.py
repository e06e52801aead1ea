"""Which evaluations are due for a step; the dispatcher publishes a hint for each.

A hint may be lost, repeated or late: an evaluation is due again LOST_S after its hint went out.
"""

from typing import Any

from psycopg_pool import ConnectionPool

from tierline.storage.evidence import evaluations

LOST_S = 5.0  # a hint that led to no step within this time is sent again
AT_ONCE = 16  # evaluations hinted at in one look


def due_evaluations(pool: ConnectionPool[Any]) -> list[int]:
    """Mark those that are due as hinted; the caller publishes after this returns. Of several
    dispatchers one gets each.
    """
    with pool.connection() as connection:
        return evaluations.take_due(connection, LOST_S, AT_ONCE)
