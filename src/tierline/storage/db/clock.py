"""Postgres's clock, which decides the times in rows."""

from datetime import datetime
from typing import Any

from psycopg import Connection


def now(connection: Connection[Any]) -> datetime:
    """The present time, not the start of the transaction."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT of one expression gives one row"
    found: datetime = row[0]
    return found
