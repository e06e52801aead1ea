"""Postgres's clock, by which the times in rows are decided."""

from datetime import datetime
from typing import Any

from psycopg import Connection


def now(connection: Connection[Any]) -> datetime:
    """The time as it is, inside a transaction too."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT of one expression gives one row"
    found: datetime = row[0]
    return found
