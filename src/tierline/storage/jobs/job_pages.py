"""Pages of jobs, the newest first: live jobs, then week after week until the page is full.

So a page costs the same whatever lies behind it, and each statement is planned for a bounded number
of weeks. Pages are ordered by `seq`, weeks by the time in the ids. The two orders may differ for
jobs that were submitted at the same time, but not for those that are `APART_MS` apart: so a page is
complete only when its last job is newer by so much than all that was not read. A page that follows
another one begins with the week of that page's last job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.errors import UndefinedTable
from psycopg.pq import TransactionStatus

from tierline.base.ids import database_now, first_id_of
from tierline.storage.db.homes import (
    MOST_WEEKS,
    Span,
    at_homes,
    forget_homes,
    read_at_homes,
    weeks_of,
)
from tierline.storage.db.rows import typed_rows
from tierline.storage.db.snapshot import one_snapshot
from tierline.storage.jobs.job_reads import JOB_COLUMNS, JOB_FROM, job_rows
from tierline.views.jobs.jobs import JobRow

Result = TypeVar("Result")

ALL_WEEKS = 10  # so many partitions are read by one statement
FIRST_WEEKS = (
    3  # of more: what the first statement reads; each of the next ones reads twice as many
)
DETAILED_MS = 21 * 86_400_000  # between the ids in one statement that reads whole jobs
APART_MS = (
    86_400_000  # ids made by two processes at one time differ less, see rules.partitions.LATE
)
_MS = 80  # bits of an id behind its milliseconds
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)

_CONDITIONS = {
    "before": "j.seq < %(before)s",
    "feature": "j.feature_version_id = ANY(ARRAY("
    "SELECT v.id FROM feature_versions v WHERE v.name = %(feature)s))",
    "status": "j.status = %(status)s",
    "tier": "j.tier = %(tier)s",
    "batch_id": "j.batch_id = %(batch_id)s",
    "no_drafts": "NOT EXISTS (SELECT FROM feature_versions v"
    " WHERE v.id = j.feature_version_id AND v.version < 0)",
}
# {jobs}: `@jobs`, or only the ended jobs. {more}: those of _CONDITIONS that the filters need.
# {limit}: a number, because Postgres takes a parameter for a tenth of all rows, and would plan each
# page anew.
_MATCHING = """
FROM {jobs} j WHERE j.account_id = %(account_id)s AND j.shadow_of IS NULL {more}
ORDER BY j.seq DESC LIMIT {limit}
"""
_POSITIONS = f"SELECT j.seq, j.id {_MATCHING}"
# Whole jobs in one statement, for the first group.
_PAGE = f"""
WITH page AS MATERIALIZED (
    SELECT j.* {_MATCHING.format(jobs="@jobs", more="{more}", limit="{limit}")}
)
SELECT {JOB_COLUMNS} {JOB_FROM.format(jobs="page", requests="LEFT JOIN")} ORDER BY j.seq DESC
"""


@dataclass(frozen=True)
class Filters:
    """Which of an account's jobs to list; None: any."""

    feature: str | None = None
    status: str | None = None
    tier: str | None = None
    batch_id: UUID | None = None
    drafts: bool = True  # jobs of drafts too


class Before(NamedTuple):
    """The last job of the page before. Without its id, weeks are read from the newest one on."""

    seq: int
    id: UUID | None = None


class Group(NamedTuple):
    """What one statement reads."""

    jobs: str  # `@jobs` or `@jobs_ended`
    ids: Span
    newer: UUID  # jobs from this id on are listed before all that no group has read yet


class JobPosition(NamedTuple):
    """The place of a job in a list."""

    seq: int
    id: UUID


def list_jobs(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    before: Before | None,
    limit: int,
) -> list[JobRow]:
    """An account's jobs behind `before`, the newest first."""
    values = {
        "before": None if before is None else before.seq,
        **vars(filters),
        "no_drafts": None if filters.drafts else True,
    }
    del values["drafts"]
    conditions = {name: value for name, value in values.items() if value is not None}
    more = "".join(f" AND {_CONDITIONS[name]}" for name in conditions)
    parameters = {**conditions, "account_id": account_id}
    floor = lowest(filters)
    ceiling = None if before is None or before.id is None else later(before.id)
    first = next(groups(connection, floor, ceiling))
    rows = read_at_homes(
        connection,
        _PAGE.replace("{more}", more).replace("{limit}", str(limit)),
        [first.ids],
        lambda statement: typed_rows(connection, JobRow, statement, parameters),
    )
    complete = first.newer == _LOWEST or (len(rows) == limit and rows[-1]["id"] >= first.newer)
    # The request of a job that waited for weeks is in other partitions.
    if complete and all(row["id"] >= first.ids.first for row in rows):
        return rows

    def statement_in(jobs: str) -> str:
        return _POSITIONS.format(jobs=jobs, more=more, limit=limit)

    def read() -> list[JobRow]:
        positions = newest(connection, statement_in, parameters, limit, floor, ceiling)
        rows = [row for ids in in_few_weeks(positions) for row in job_rows(connection, ids)]
        return sorted(rows, key=lambda row: -row["seq"])

    return in_one_snapshot(connection, read)


def in_one_snapshot(connection: Connection[Any], read: Callable[[], Result]) -> Result:
    """The result of `read`, whose statements see the same rows. Done again on the parents if a week
    was removed since the connection was made.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return read()
    try:
        with one_snapshot(connection, read_only=True):
            return read()
    except UndefinedTable:
        forget_homes(connection)
        with one_snapshot(connection, read_only=True):
            return read()


def newest(
    connection: Connection[Any],
    statement_in: Callable[[str], str],
    parameters: Mapping[str, Any],
    limit: int,
    floor: UUID | None = None,
    ceiling: UUID | None = None,
) -> list[JobPosition]:
    """The `limit` newest jobs. `statement_in`: the statement that reads `seq` and `id` of the
    newest in `@jobs` or `@jobs_ended`.

    `floor` and `ceiling`: no job of the list has a lower id, or a higher one. Use it within
    `in_one_snapshot`.
    """
    positions: list[JobPosition] = []
    for group in groups(connection, floor, ceiling):
        named = at_homes(connection, statement_in(group.jobs), group.ids)
        positions += [JobPosition(*row) for row in connection.execute(named, parameters)]
        positions = sorted(set(positions), reverse=True)[:limit]
        if len(positions) == limit and positions[-1].id >= group.newer:
            break
    return positions


def groups(
    connection: Connection[Any], floor: UUID | None = None, ceiling: UUID | None = None
) -> Iterator[Group]:
    """What to read, one after another: live jobs and the newest weeks, then the older weeks."""
    weeks = [
        week
        for week in weeks_of(connection)
        if (floor is None or week.end > floor) and (ceiling is None or week.first <= ceiling)
    ]
    if not weeks:
        yield Group("@jobs", Span(_LOWEST, _HIGHEST), _LOWEST)
        return
    now = first_id_of(database_now(), timedelta(0))
    # Weeks ahead of the present are empty, and read with the first ones.
    begin = sum(week.first > now for week in weeks)
    end, size, jobs = begin + FIRST_WEEKS, FIRST_WEEKS, "@jobs"
    if len(weeks) <= ALL_WEEKS:
        end = ALL_WEEKS
    begin = 0
    while begin < len(weeks):
        there = weeks[begin:end]
        oldest = there[-1]
        done = end >= len(weeks)
        yield Group(
            jobs,
            Span(oldest.first, UUID(int=there[0].end.int - 1)),
            _LOWEST if done else UUID(int=oldest.first.int + (APART_MS << _MS)),
        )
        size = min(2 * size, MOST_WEEKS)
        begin, end, jobs = end, end + size, "@jobs_ended"


def lowest(filters: Filters) -> UUID | None:
    """No job that matches has a lower id: a batch's jobs are not older than the batch."""
    if filters.batch_id is None:
        return None
    return UUID(int=max(0, filters.batch_id.int - (APART_MS << _MS)))


def later(id: UUID) -> UUID:
    """All jobs that are listed behind this one have lower ids than the result."""
    return UUID(int=min(_HIGHEST.int, id.int + (APART_MS << _MS)))


def in_few_weeks(positions: Sequence[JobPosition]) -> Iterator[list[UUID]]:
    """The ids, divided so that those together are of few weeks."""
    chunk: list[UUID] = []
    for id in sorted((one.id for one in positions), reverse=True):
        if chunk and chunk[0].int - id.int > DETAILED_MS << _MS:
            yield chunk
            chunk = []
        chunk.append(id)
    if chunk:
        yield chunk
