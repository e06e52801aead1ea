"""Reading the events of jobs: of one job, and of an account's jobs since a time.

`rules.job_events` derives the events; `api.streams` keeps the open streams up to date.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from tierline.rules.job_events import JobEvent, events_of, position
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import event_reads
from tierline.storage.jobs.event_reads import LiveJob, NewJobRow
from tierline.views.jobs.events import EventRow

Pool = AsyncConnectionPool[Any]

READ_AT_ONCE = 500  # jobs with their attempts
MOST_LIVE = 5_000  # jobs of an account that are watched at once
MOST_NEW = 5_000  # new jobs of an account that one poll reads
MOST_SINCE = 10_000  # jobs that a resumed stream looks back on, with the rows of batches
OVERLAP = timedelta(seconds=2)  # an event may be committed so much later than its time says


@dataclass(frozen=True)
class Past:
    """What happened to an account's jobs since a time."""

    events: Sequence[tuple[EventRow, JobEvent]]  # the oldest first
    whole: bool  # False: there were more jobs than are looked at


async def find_event_row(pool: Pool, account_id: int, job_id: UUID) -> EventRow | None:
    """An account's job with its attempts. None if the account has no such job."""
    rows = await again(pool, lambda c: event_reads.event_rows(c, [job_id], account_id))
    return rows[0] if rows else None


async def read_event_rows(pool: Pool, job_ids: Sequence[UUID]) -> list[EventRow]:
    """The jobs with their attempts, without those that were removed."""
    rows: list[EventRow] = []
    for start in range(0, len(job_ids), READ_AT_ONCE):
        some = job_ids[start : start + READ_AT_ONCE]
        rows += await again(pool, lambda c, some=some: event_reads.event_rows(c, some))  # type: ignore[misc]
    return rows


async def live_positions(pool: Pool, job_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The number of the last event of those jobs that have not ended."""
    states = await again(pool, lambda c: event_reads.positions(c, job_ids))
    return {job_id: position(*state) for job_id, state in states.items()}


async def live_jobs(pool: Pool, account_id: int) -> list[LiveJob]:
    """The account's jobs that have not ended, at most MOST_LIVE, without rows of batches."""
    return await again(pool, lambda c: event_reads.live_jobs(c, account_id, MOST_LIVE))


async def new_jobs(pool: Pool, account_id: int, after: int) -> list[NewJobRow]:
    """The account's first MOST_NEW jobs with a `seq` above `after`."""
    return await again(pool, lambda c: event_reads.new_jobs(c, account_id, after, MOST_NEW))


async def last_seq(pool: Pool, account_id: int) -> int:
    """The largest `seq` of the account's jobs; 0: it has none."""
    return await again(pool, lambda c: event_reads.last_seq(c, account_id))


async def past_events(pool: Pool, account_id: int, low: int, since: datetime) -> Past:
    """The events since a time, of the account's jobs with a `seq` of at least `low`.

    A job that had not ended at that time must have such a `seq`. Events just before `since` are
    included, because they may have been committed after it.
    """
    rows_of_page = await again(
        pool, lambda c: event_reads.jobs_since(c, account_id, low, MOST_SINCE + 1)
    )
    shown = [job_id for job_id, shown in rows_of_page[:MOST_SINCE] if shown]
    rows = await read_event_rows(pool, shown)
    events = [
        (row, event)
        for row in rows
        for event in events_of(row.facts)
        if event.at >= since - OVERLAP and row.feature_version > 0
    ]
    events.sort(key=lambda pair: (pair[1].at, pair[0].id, pair[1].number))
    return Past(events, whole=len(rows_of_page) <= MOST_SINCE)
