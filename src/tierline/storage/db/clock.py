"""Postgres's clock, which decides the times in rows and in ids."""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection

from tierline.base.ids import set_clock, steady_ns

# A replica's clock decides nothing.
_OF_PRIMARY = "SELECT clock_timestamp() WHERE NOT pg_is_in_recovery()"


def now(connection: Connection[Any]) -> datetime:
    """The present time, not the start of the transaction."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT of one expression gives one row"
    time: datetime = row[0]
    return time


def read_clock(connection: Connection[Any]) -> None:
    """Measure how far the clock of this process is from Postgres's, for the ids that it makes.

    A pool does it with each new connection, and replaces its connections within the hour.
    """
    asked_ns = steady_ns()
    row = connection.execute(_OF_PRIMARY).fetchone()
    if row is not None:
        set_clock(row[0], asked_ns)


async def read_clock_async(connection: AsyncConnection[Any]) -> None:
    """`read_clock`, for a pool of the API."""
    asked_ns = steady_ns()
    row = await (await connection.execute(_OF_PRIMARY)).fetchone()
    if row is not None:
        set_clock(row[0], asked_ns)
