"""In which partitions the rows of jobs are, for statements that must not be planned for all weeks.

A statement that names the parent is planned for every partition: with a year of weeks, a claim and
a finish took 2.8 ms of Postgres's processor time, and 0.9 ms with the names of the partitions. So
they write `@calls` for the table of the job's calls, and its partition is put in: that of one job
(`at_home`), or those of a range of ids (`at_homes`). `@jobs` is read only: it is every part of
`jobs` where the job can be. One statement reads all of them in one snapshot, so a job that ends and
moves meanwhile is found once.

Each connection of a pool reads the partitions when it is made. They are made 14 days ahead, a
connection is replaced within the hour, and the partition of a live job is never removed. Where the
partition is not known, the parent's name stands, which is always right. If a week was removed
meanwhile, `read_at_homes` reads the parent.
"""

import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Connection
from psycopg.errors import LockNotAvailable, UndefinedTable
from psycopg.pq import TransactionStatus

from tierline.base.ids import database_now, first_id_of
from tierline.rules.partitions import LATE

Result = TypeVar("Result")

TABLES = ("job_requests", "attempts", "calls", "answers", "outcomes")
"""What may stand behind an `@`. All are partitioned by the job's id."""
JOBS, ENDED = "jobs", "jobs_ended"
NAMED = (*TABLES, JOBS, ENDED)
"""The same, and `jobs` with its part of ended ones. They are only read: several tables each."""

MOST_WEEKS = 16
"""In one statement. A longer range names the parents."""
LOCK_TIMEOUT_MS = 50

# A partition that this role may not read by its own name has none here: the parent's name stands.
_READ = """
SELECT p.relname, CASE WHEN has_table_privilege(c.oid, 'SELECT') THEN c.relname END,
    pg_get_expr(c.relpartbound, c.oid)
FROM unnest(%s::text[]) named JOIN pg_class p ON p.oid = to_regclass(named)
JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
WHERE p.relkind = 'p' AND NOT i.inhdetachpending
"""
# The columns of two partitions may be in different orders, so a union lists them.
_COLUMNS = """
SELECT named, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM unnest(%s::text[]) named JOIN pg_attribute a ON a.attrelid = to_regclass(named)
WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY named
"""
_PARAMETERS = (list(NAMED),)
_LOCK_TIMEOUT = f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
_BOUNDS = re.compile(
    r"^FOR VALUES FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)$"
)
_MARKED = re.compile(rf"@({'|'.join(NAMED)})\b")

Names = tuple[str, ...]  # what to put in, in the order of NAMED
Row = tuple[str, str | None, str | None]  # table, partition (None: not to be named), bounds


class _Range(NamedTuple):
    """A partition by ids, from `first` on and below `end`."""

    name: str | None  # None: it may not be read by its name
    first: int
    end: int


class Week(NamedTuple):
    """The ids of one partition of `jobs_ended`: from `first` on and below `end`."""

    first: UUID
    end: UUID


class Span(NamedTuple):
    """Ids of jobs, from `first` to `last`, both included."""

    first: UUID
    last: UUID


class Homes:
    """The partitions of a database, as one connection read them."""

    def __init__(self, rows: Iterable[Row], columns: Mapping[str, str] | None = None) -> None:
        self._columns = columns or {}
        self._ranges: dict[str, list[_Range]] = {table: [] for table in (*TABLES, ENDED)}
        live: list[str | None] = []  # the parts of `jobs` that hold ids of any age
        for table, name, bounds in rows:
            match = _BOUNDS.match(bounds or "")
            if table == JOBS and name != ENDED:
                live.append(name)
            elif table in self._ranges and match is not None:
                first, end = match.groups()
                self._ranges[table].append(
                    _Range(name, UUID(first).int if first else 0, UUID(end).int)
                )
        self._live = _all(live)
        for ranges in self._ranges.values():
            ranges.sort(key=lambda one: one.first)
        bounds_of = {
            place
            for ranges in self._ranges.values()
            for one in ranges
            for place in (one.first, one.end)
        }
        self._begins = sorted({0} | bounds_of)
        self._names = [self._within([(begin, begin)]) for begin in self._begins]

    def of(self, job_id: UUID) -> Names:
        """Where the rows of the job are; a table's own name where that is not known."""
        return self._names[bisect_right(self._begins, job_id.int) - 1]

    def within(self, *spans: Span) -> Names:
        """The same of all jobs with an id in one of these."""
        if len(spans) == 1 and spans[0].first == spans[0].last:
            return self.of(spans[0].first)
        return self._within([(one.first.int, one.last.int) for one in spans])

    def weeks(self) -> list[Week]:
        """The partitions of ended jobs, the newest first; empty where they are not known."""
        if not self._live:
            return []
        ranges = reversed(self._ranges[ENDED])
        return [Week(UUID(int=one.first), UUID(int=one.end)) for one in ranges]

    def _within(self, spans: Sequence[tuple[int, int]]) -> Names:
        names = [self._union(table, self._inside(table, spans)) for table in TABLES]
        ended = self._inside(ENDED, spans)
        return (
            *names,
            self._union(JOBS, [*self._live, *ended] if ended and self._live else []),
            self._union(ENDED, ended),
        )

    def _inside(self, table: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        """The partitions with these ids; empty if rows may be elsewhere, or in too many."""
        ranges = self._ranges[table]
        if not ranges or any(last >= ranges[-1].end for _, last in spans):
            return []
        inside = [
            one.name
            for one in ranges
            if any(one.first <= last and first < one.end for first, last in spans)
        ]
        return _all(inside) if len(inside) <= MOST_WEEKS else []

    def _union(self, table: str, members: Sequence[str]) -> str:
        if len(members) == 1:
            return members[0]
        columns = self._columns.get(table)
        if not members or columns is None:
            return table
        return f"({' UNION ALL '.join(f'SELECT {columns} FROM {name}' for name in members)})"


def _all(names: Iterable[str | None]) -> list[str]:
    """The names in order; empty if one is unknown."""
    listed = list(names)
    return sorted(name for name in listed if name is not None) if None not in listed else []


_PARENTS: Names = NAMED
_homes: WeakKeyDictionary[Connection[Any] | AsyncConnection[Any], Homes] = WeakKeyDictionary()


def read_homes(connection: Connection[Any]) -> None:
    """Read the partitions, for the statements on this connection.

    Reading the bounds of a partition waits for whoever locks it. Such a lock must not keep this
    connection from its work, so the parents' names stand then.
    """
    try:
        with connection.transaction():
            connection.execute(_LOCK_TIMEOUT)
            rows = connection.execute(_READ, _PARAMETERS).fetchall()
            columns = connection.execute(_COLUMNS, _PARAMETERS).fetchall()
    except LockNotAvailable:
        return
    _homes[connection] = Homes(rows, dict(columns))


async def read_homes_async(connection: AsyncConnection[Any]) -> None:
    """`read_homes`, for a pool of the API."""
    try:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            rows = await (await connection.execute(_READ, _PARAMETERS)).fetchall()
            columns = await (await connection.execute(_COLUMNS, _PARAMETERS)).fetchall()
    except LockNotAvailable:
        return
    _homes[connection] = Homes(rows, dict(columns))


def at_home(
    connection: Connection[Any] | AsyncConnection[Any], statement: str, job_id: UUID
) -> str:
    """The statement with the job's partitions in the place of `@calls` and the others."""
    homes = _homes.get(connection)
    return _put_in(statement, _PARENTS if homes is None else homes.of(job_id))


def at_homes(
    connection: Connection[Any] | AsyncConnection[Any], statement: str, *spans: Span
) -> str:
    """The same for all jobs with an id in one of these."""
    homes = _homes.get(connection)
    return _put_in(statement, _PARENTS if homes is None else homes.within(*spans))


def at_parents(statement: str) -> str:
    """The statement on all partitions."""
    return _put_in(statement, _PARENTS)


def up_to_now(first: UUID) -> Span:
    """All ids from `first` on. A clock that is a day ahead makes no others."""
    return Span(first, first_id_of(database_now(), -LATE))


def forget_homes(connection: Connection[Any]) -> None:
    """Name the parents from now on: a partition that this connection knew is gone."""
    _homes.pop(connection, None)


def weeks_of(connection: Connection[Any]) -> list[Week]:
    """The weeks of ended jobs, the newest first; empty where the partitions are not known."""
    homes = _homes.get(connection)
    return [] if homes is None else homes.weeks()


def read_at_home(
    connection: Connection[Any], statement: str, job_id: UUID, read: Callable[[str], Result]
) -> Result:
    """The result of `read`, which executes the statement that it gets: `at_home`. For jobs of any
    age, whose partition may have been removed since this connection was made.
    """
    return read_at_homes(connection, statement, [Span(job_id, job_id)], read)


def read_at_homes(
    connection: Connection[Any],
    statement: str,
    spans: Sequence[Span],
    read: Callable[[str], Result],
) -> Result:
    """The same for all jobs with an id in one of these."""
    named = at_homes(connection, statement, *spans)
    recent = first_id_of(database_now(), LATE)  # no week of these ids is ever removed
    if all(one.first >= recent for one in spans):
        return read(named)
    try:
        if connection.info.transaction_status is TransactionStatus.IDLE:
            return read(named)
        with connection.transaction():  # a savepoint
            return read(named)
    except UndefinedTable:
        _homes.pop(connection, None)
        return read(at_parents(statement))


async def read_at_home_async(
    connection: AsyncConnection[Any],
    statement: str,
    job_id: UUID,
    read: Callable[[str], Awaitable[Result]],
) -> Result:
    """`read_at_home` on a connection of the API, outside a transaction."""
    return await read_at_homes_async(connection, statement, Span(job_id, job_id), read)


async def read_at_homes_async(
    connection: AsyncConnection[Any],
    statement: str,
    span: Span,
    read: Callable[[str], Awaitable[Result]],
) -> Result:
    """`read_at_homes` on a connection of the API, outside a transaction."""
    try:
        return await read(at_homes(connection, statement, span))
    except UndefinedTable:
        _homes.pop(connection, None)
        return await read(at_parents(statement))


@lru_cache(maxsize=512)
def _put_in(statement: str, names: Names) -> str:
    named = dict(zip(NAMED, names, strict=True))
    return _MARKED.sub(lambda match: named[match.group(1)], statement)
