"""Positions in the write-ahead log of a primary and of its replica."""

from typing import Any

from psycopg import AsyncConnection

WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
REPLAYED = """
SELECT CASE WHEN pg_is_in_recovery()
    THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END
"""


async def written(connection: AsyncConnection[Any]) -> int:
    """How far the primary has written, in bytes. Raises psycopg.Error on a replica."""
    return int(await _one(connection, WRITTEN) or 0)


async def replayed(connection: AsyncConnection[Any]) -> int | None:
    """How far the replica has replayed that, in bytes; None: the server is no replica."""
    position = await _one(connection, REPLAYED)
    return None if position is None else int(position)


async def _one(connection: AsyncConnection[Any], statement: str) -> Any:
    row = await (await connection.execute(statement.encode())).fetchone()
    return None if row is None else row[0]
