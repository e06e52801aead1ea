"""Retries a statement after an outage of the database.

Only for statements that are safe to repeat: each names a token or a key that was made before it.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

Result = TypeVar("Result")

PASSING = (
    psycopg.OperationalError,  # cut, refused, shut down, out of connections, deadlock, lock timeout
    psycopg.InterfaceError,  # the connection was found closed
    psycopg.errors.ReadOnlySqlTransaction,  # a primary that became a replica, until it is replaced
    psycopg.errors.IdleInTransactionSessionTimeout,  # this process was stopped for a while
    PoolTimeout,
)
"""Errors of a database that is away or busy; a retry may work."""

MOVED = psycopg.errors.SerializationFailure
"""The job's row was moved to another partition while a statement waited for it. Postgres does not
follow the row: the transaction must be done again, and then finds it."""
MOST_MOVES = 10  # a job moves at most twice; a statement on many jobs may meet several

FIRST_WAIT_S = 0.02
MOST_WAIT_S = 1.0


class GaveUp(Exception):
    """The database stayed away longer than the caller wanted to wait."""


def repeat(
    pool: ConnectionPool[Any],
    statement: Callable[[Connection[Any]], Result],
    *,
    keep_on: Callable[[], bool],
) -> Result:
    """Run `statement` on a connection of the pool, and retry it after each passing failure.

    It retries while `keep_on()` is true; then it raises GaveUp.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            with pool.connection() as connection:
                return statement(connection)
        except PASSING as error:
            if not keep_on():
                raise GaveUp from error
            time.sleep(wait_s)
            wait_s = min(MOST_WAIT_S, wait_s * 2)


def again_if_moved(transaction: Callable[[], Result]) -> Result:
    """The result of `transaction`, which is a whole transaction that changes or locks jobs; done
    again if one of them was moved meanwhile.
    """
    for _ in range(MOST_MOVES):
        try:
            return transaction()
        except MOVED:
            continue
    return transaction()
