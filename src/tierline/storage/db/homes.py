"""In which partitions the rows of a job are, for the statements that every job runs.

A statement that names the parent is planned for every partition: with a year of weeks, a claim and
a finish took 2.8 ms of Postgres's processor time, and 0.9 ms with the names of the partitions. So
they write `@calls` for the table of the job's calls, and `at_home` puts in its partition.

Each connection of a pool reads the partitions when it is made. They are made 14 days ahead, a
connection is replaced within the hour, and the partition of a live job is never removed. Where the
partition is not known, the parent's name stands, which is always right.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from psycopg import Connection
from psycopg.errors import LockNotAvailable

TABLES = ("job_requests", "attempts", "calls", "answers", "outcomes")
"""What may stand behind an `@`. All are partitioned by the job's id."""

LOCK_TIMEOUT_MS = 50

_READ = """
SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM unnest(%s::text[]) named JOIN pg_class p ON p.oid = to_regclass(named)
JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
WHERE p.relkind = 'p' AND NOT i.inhdetachpending
"""
_BOUNDS = re.compile(
    r"^FOR VALUES FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)$"
)
_MARKED = re.compile(rf"@({'|'.join(TABLES)})\b")

Names = tuple[str, ...]  # of the partitions, in the order of TABLES
Row = tuple[str, str, str | None]  # table, partition, bounds


class Homes:
    """The partitions of a database, as one connection read them."""

    def __init__(self, rows: Iterable[Row]) -> None:
        ranges: list[tuple[str, str, int, int]] = []
        for table, name, bounds in rows:
            match = _BOUNDS.match(bounds or "")
            if match is not None:
                first, end = match.groups()
                ranges.append((table, name, UUID(first).int if first else 0, UUID(end).int))
        self._begins = sorted({0} | {place for _, _, *both in ranges for place in both})
        self._names = [self._at(begin, ranges) for begin in self._begins]

    @staticmethod
    def _at(place: int, ranges: list[tuple[str, str, int, int]]) -> Names:
        here = {table: name for table, name, first, end in ranges if first <= place < end}
        return tuple(here.get(table, table) for table in TABLES)

    def of(self, job_id: UUID) -> Names:
        """The partitions of the job; a table's own name where there is none."""
        return self._names[bisect_right(self._begins, job_id.int) - 1]


_homes: WeakKeyDictionary[Connection[Any], Homes] = WeakKeyDictionary()


def read_homes(connection: Connection[Any]) -> None:
    """Read the partitions, for the statements on this connection.

    Reading the bounds of a partition waits for whoever locks it. Such a lock must not keep this
    connection from its work, so the parents' names stand then.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            rows = connection.execute(_READ, (list(TABLES),)).fetchall()
    except LockNotAvailable:
        return
    _homes[connection] = Homes(rows)


def at_home(connection: Connection[Any], statement: str, job_id: UUID) -> str:
    """The statement with the job's partitions in the place of `@calls` and the others."""
    homes = _homes.get(connection)
    return _put_in(statement, TABLES if homes is None else homes.of(job_id))


@lru_cache(maxsize=256)
def _put_in(statement: str, names: Names) -> str:
    named = dict(zip(TABLES, names, strict=True))
    return _MARKED.sub(lambda match: named[match.group(1)], statement)
