"""Reading jobs for callers: one job, a page of jobs, one job's attempts with their calls."""

from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import NotFound
from tierline.rules.jobs import Status
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import job_pages, job_reads
from tierline.storage.jobs.job_pages import Before, Filters
from tierline.storage.jobs.job_reads import RequestRow
from tierline.storage.jobs.job_search import Details, Matches, search
from tierline.storage.operations import bulk_actions
from tierline.views.jobs.attempts import AttemptRow, CallRow
from tierline.views.jobs.jobs import JobRow

__all__ = [
    "Attempts",
    "Before",
    "Details",
    "Filters",
    "Matches",
    "attempts_of",
    "find_job",
    "has_index",
    "jobs_of",
    "list_jobs",
    "read_job",
    "search_jobs",
]


MOST_EXAMINED = 50_000  # jobs, for one page of a search
AT_ONCE = 5_000  # jobs that one statement examines, at most
LIVE = (Status.QUEUED, Status.IN_PROGRESS)


class Attempts(NamedTuple):
    """A job's attempts in order, and the calls of each by its number."""

    attempts: list[AttemptRow]
    calls: dict[int, list[CallRow]]


def find_job(
    pool: AsyncConnectionPool[Any], account_id: int, job_id: UUID
) -> Awaitable[JobRow | None]:
    """An account's job, for the API's hot path. None if the account has no such job.

    Retries through a short outage of the database, then raises its error.
    """
    return again(pool, lambda connection: job_reads.job_row_async(connection, account_id, job_id))


def find_request(
    pool: AsyncConnectionPool[Any], account_id: int, job_id: UUID
) -> Awaitable[RequestRow | None]:
    """What a job was submitted with. None if the account has no such job."""
    return again(pool, lambda connection: job_reads.request_of(connection, account_id, job_id))


def read_job(connection: Connection[Any], job_id: UUID) -> JobRow:
    """A job of any account, for showing the result of a change to it. Raises NotFound."""
    row = job_reads.job_row(connection, job_id)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return row


def jobs_of(connection: Connection[Any], account_id: int, job_ids: Sequence[UUID]) -> list[JobRow]:
    """Those of the jobs that are the account's, in the given order."""
    return job_reads.account_job_rows(connection, account_id, job_ids)


def list_jobs(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    before: Before | None,
    limit: int,
) -> list[JobRow]:
    """An account's jobs behind `before`, the newest first."""
    return job_pages.list_jobs(connection, account_id, filters, before, limit)


def has_index(filters: Filters, details: Details) -> bool:
    """Whether `list_jobs` reads few jobs that do not match. Otherwise use `search_jobs`: a status
    that no job of a year has, say, would be looked for in all of it.
    """
    if details:
        return False
    if filters.status in LIVE:
        return True
    return filters.feature is None and filters.status is None and filters.tier is None


def search_jobs(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    details: Details,
    before: Before | None,
    limit: int,
) -> Matches:
    """At most `limit` jobs behind `before` with these details, among the next MOST_EXAMINED jobs.
    No index helps, so a page may have fewer jobs, or none, although older ones match.
    """
    if before is None:
        before = Before(bulk_actions.next_seq(connection))
    return search(
        connection,
        account_id,
        filters,
        details,
        before,
        limit=limit,
        most=MOST_EXAMINED,
        at_once=AT_ONCE,
    )


def attempts_of(connection: Connection[Any], account_id: int, job_id: UUID) -> Attempts:
    """What each tier answered and what each call used. Raises NotFound if the account has no such
    job.
    """
    if not job_reads.belongs(connection, account_id, job_id):
        raise NotFound(f"there is no job {job_id}")
    calls: dict[int, list[CallRow]] = {}
    for row in job_reads.call_rows(connection, job_id):
        calls.setdefault(row["attempt"], []).append(row)
    return Attempts(job_reads.attempt_rows(connection, job_id), calls)
