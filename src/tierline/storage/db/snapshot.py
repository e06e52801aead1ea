"""Transactions whose statements all see the same rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection


@contextmanager
def one_snapshot(connection: Connection[Any], *, read_only: bool = False) -> Iterator[None]:
    """A transaction on one snapshot, taken by its first statement.

    A statement that changes a row which another transaction has changed since then raises
    SerializationFailure.
    """
    with connection.transaction():
        mode = ", READ ONLY" if read_only else ""
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ{mode}")
        yield
