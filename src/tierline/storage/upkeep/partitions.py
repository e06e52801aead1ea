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
from tierline.storage.db.clock import now
from tierline.storage.db.engine import within
from tierline.storage.db.partitioned import PARENTS, Parent

LOCK_TIMEOUT_MS = 50  # on hot tables a lock is tried again later rather than waited for
PARTITIONS_LOCK = 0x7E21_0002  # serialises the processes that make and drop partitions


class Busy(Exception):
    """Another process is making or dropping partitions."""


_PARTITIONS = """
SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending
FROM unnest(%s::text[]) named JOIN pg_class p ON p.oid = to_regclass(named)
LEFT JOIN pg_inherits i ON i.inhparent = p.oid LEFT JOIN pg_class c ON c.oid = i.inhrelid
WHERE p.relkind = 'p'
"""

_GRANTED = """
SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
    a.is_grantable
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner
"""

_ANALYZE_DUE = """
SELECT c.relname FROM unnest(%s::text[]) named JOIN pg_class c ON c.oid = to_regclass(named)
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind = 'p'
    AND coalesce(s.last_analyze, '-infinity') < statement_timestamp() - interval '1 day'
ORDER BY s.last_analyze NULLS FIRST LIMIT 1
"""

_SIZES = """
SELECT c.relname, pg_total_relation_size(c.oid)
FROM unnest(%s::text[]) named JOIN pg_inherits i ON i.inhparent = to_regclass(named)
JOIN pg_class c ON c.oid = i.inhrelid
"""

_BOUNDS = re.compile(
    r"^FOR VALUES FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)$"
)


def every(
    connection: Connection[Any], parents: Sequence[Parent] = PARENTS
) -> dict[str, list[Partition]]:
    """By table that is partitioned, its partitions in the order of their ids."""
    by_table: dict[str, list[Partition]] = {}
    for table, name, bounds, detaching in connection.execute(
        _PARTITIONS, ([parent.table for parent in parents],)
    ):
        there = by_table.setdefault(table, [])
        match = _BOUNDS.match(bounds or "")
        if match is not None:
            first, end = match.groups()
            there.append(Partition(name, UUID(first) if first else None, UUID(end), detaching))
    for there in by_table.values():
        there.sort(key=lambda one: one.end)
    return by_table


def last_ends(
    connection: Connection[Any], parents: Sequence[Parent] = PARENTS
) -> dict[str, datetime | None]:
    """By partitioned table, the time up to which it has partitions; None: it has none."""
    return {
        table: there[-1].ends_at if there else None
        for table, there in every(connection, parents).items()
    }


def sizes(connection: Connection[Any]) -> dict[str, int]:
    """The bytes of each partition, with its indexes, by name."""
    rows = connection.execute(_SIZES, ([parent.table for parent in PARENTS],))
    return dict(rows.fetchall())


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
    ends = last_ends(connection, parents)
    for parent in parents:
        if parent.table not in ends:
            continue
        for one in missing(parent.table, ends[parent.table], at):
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
        if any(there.end >= one.end for there in every(connection, [parent])[parent.table]):
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
        _grant_as(connection, parent.table, one.name)
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                table, name, sql.Literal(str(one.first)), sql.Literal(str(one.end))
            )
        )
    return True


def _grant_as(connection: Connection[Any], table: str, name: str) -> None:
    """Grant on the partition what is granted on its table, for roles that read it by its name."""
    for privilege, role, may_grant in connection.execute(_GRANTED, (table,)).fetchall():
        connection.execute(
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                sql.Identifier(name),
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if may_grant else ""),
            )
        )


def analyze_one(connection: Connection[Any], within_s: float) -> str | None:
    """Gather the planner's statistics of the partitioned table whose own are oldest, if they are
    older than a day: autovacuum does that for partitions alone. Returns its name.

    Raises QueryCanceled after `within_s` seconds, LockNotAvailable if somebody changes its
    partitions.
    """
    tables = ["jobs", *(parent.table for parent in PARENTS)]
    row = connection.execute(_ANALYZE_DUE, (tables,)).fetchone()
    if row is None:
        return None
    # Before 18, all partitions are read as well.
    only = sql.SQL("ONLY " if connection.info.server_version >= 180_000 else "")
    with within(connection, within_s):
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.execute(sql.SQL("ANALYZE {}{}").format(only, sql.Identifier(row[0])))
    return str(row[0])


def lock_partitions(connection: Connection[Any]) -> None:
    """Hold the right to change partitions to the end of the transaction.

    Raises Busy if another process has it.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (PARTITIONS_LOCK,)).fetchone()
    if row is None or not row[0]:
        raise Busy
