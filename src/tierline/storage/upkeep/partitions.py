"""The partitions by time of the tables of history: reads them, and makes those ahead.

A partition is a table like its parent that is attached: unlike CREATE TABLE … PARTITION OF, that
takes no lock that a reader or a writer of the parent waits for. There is no DEFAULT partition,
because DETACH CONCURRENTLY refuses it.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from psycopg.errors import LockNotAvailable

from tierline.rules.partitions import Partition, missing
from tierline.storage.db.partitioned import PARENTS, Parent

LOCK_TIMEOUT_MS = 50  # on hot tables a lock is tried again later rather than waited for
PARTITIONS_LOCK = 0x7E21_0002  # serialises the processes that make and drop partitions


class Busy(Exception):
    """Another process is making or dropping partitions."""


_PARTITIONED = "SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'"

_PARTITIONS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%s)
"""

_BOUNDS = re.compile(
    r"^FOR VALUES FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)$"
)


def now(connection: Connection[Any]) -> datetime:
    """The time of Postgres, which decides which partitions there are."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "an expression gives one row"
    found: datetime = row[0]
    return found


def is_partitioned(connection: Connection[Any], table: str) -> bool:
    """Whether there is a table of that name with partitions."""
    return connection.execute(_PARTITIONED, (table,)).fetchone() is not None


def partitions(connection: Connection[Any], table: str) -> list[Partition]:
    """The partitions of a table, in the order of their ids; none if it is not partitioned."""
    found = []
    for name, bounds, detaching in connection.execute(_PARTITIONS, (table,)):
        match = _BOUNDS.match(bounds or "")
        if match is not None:
            first, end = match.groups()
            found.append(Partition(name, UUID(first) if first else None, UUID(end), detaching))
    return sorted(found, key=lambda one: one.end)


def last_ends(
    connection: Connection[Any], parents: Sequence[Parent] = PARENTS
) -> dict[str, datetime | None]:
    """By partitioned table, the time up to which it has partitions; None: it has none."""
    ends: dict[str, datetime | None] = {}
    for parent in parents:
        if is_partitioned(connection, parent.table):
            found = partitions(connection, parent.table)
            ends[parent.table] = found[-1].ends_at if found else None
    return ends


def make_ahead(
    connection: Connection[Any], at: datetime | None = None, parents: Sequence[Parent] = PARENTS
) -> list[str]:
    """Make the partitions that are missing from `at` on (now, unless given). Returns their names.

    Each is made in a transaction of its own, with a short lock timeout. A table that somebody has
    locked, and all of them while another process makes partitions, are left to the next round.
    Safe to repeat and in several processes at once.
    """
    made = []
    at = at or now(connection)
    for parent in parents:
        if not is_partitioned(connection, parent.table):
            continue
        found = partitions(connection, parent.table)
        for one in missing(parent.table, found[-1].ends_at if found else None, at):
            try:
                if _make(connection, parent, one):
                    made.append(one.name)
            except Busy:
                return made
            except LockNotAvailable:
                break
    return made


def _make(connection: Connection[Any], parent: Parent, one: Partition) -> bool:
    """Make one partition and attach it. False: another process has made it.

    Raises Busy while another process is at work, LockNotAvailable if somebody holds a conflicting
    lock on the table.
    """
    with connection.transaction():
        lock_partitions(connection)
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        if any(there.end >= one.end for there in partitions(connection, parent.table)):
            return False
        table, name = sql.Identifier(parent.table), sql.Identifier(one.name)
        storage = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.SQL(option), sql.Literal(value))
            for option, value in parent.storage.items()
        )
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL){}").format(
                name,
                table,
                sql.SQL(" WITH ({})").format(storage) if parent.storage else sql.SQL(""),
            )
        )
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                table, name, sql.Literal(str(one.first)), sql.Literal(str(one.end))
            )
        )
    return True


def lock_partitions(connection: Connection[Any]) -> None:
    """Hold the right to change partitions to the end of the transaction.

    Raises Busy if another process has it.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (PARTITIONS_LOCK,)).fetchone()
    if row is None or not row[0]:
        raise Busy
