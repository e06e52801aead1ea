"""A page of an account's jobs, by filters or by what has no index."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from api.parameters.cursors import read_job_page, search_job_page
from tierline.services.jobs import read_jobs
from tierline.services.jobs.read_jobs import Details, Filters
from tierline.views.jobs.jobs import JobRow


def job_page(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    details: Details,
    cursor: str | None,
    limit: int,
) -> tuple[Sequence[JobRow], str | None]:
    """At most `limit` jobs, the newest first, and the cursor of the next page; None: there is none.

    Without an index, a bounded number of jobs is examined, so a page may have fewer jobs although
    another page follows. Raises InvalidInput for a cursor that is not ours.
    """
    if read_jobs.has_index(filters, details):
        return read_job_page(
            cursor,
            limit,
            lambda before, most: read_jobs.list_jobs(connection, account_id, filters, before, most),
        )
    return search_job_page(
        cursor,
        limit,
        lambda before, most: read_jobs.search_jobs(
            connection, account_id, filters, details, before, most
        ),
    )
