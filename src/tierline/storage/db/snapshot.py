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


def look_up(connection: Connection[Any]) -> None:
    """Until the transaction ends, plan each statement once for a connection, and by indexes.

    For statements that find rows by their keys, among partitions so many that planning costs more
    than the rows do.
    """
    connection.execute(
        "SELECT set_config(name, value, true) FROM (VALUES"
        " ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('jit', 'off'))"
        " settings (name, value)"
    )


def read_much(connection: Connection[Any]) -> None:
    """The opposite of `look_up`, for statements that read a large part of their tables."""
    connection.execute(
        "SELECT set_config(name, value, true) FROM (VALUES"
        " ('plan_cache_mode', 'force_custom_plan'), ('enable_seqscan', 'on'),"
        " ('work_mem', '128MB')) settings (name, value)"
    )
