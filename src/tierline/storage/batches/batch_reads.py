"""Reading batches as callers are shown them: counts, cost, and rows in the order of the input.

Nothing is locked. Rows are read in keyset pages, so that a batch of any size streams.
"""

from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import class_row

from tierline.rules.batches import Progress
from tierline.storage.db.columns import columns
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.views.batches.batches import BadRowOfBatch, JobOfBatch

COUNTS = "SELECT status, tier, count(*) FROM jobs WHERE batch_id = %s GROUP BY status, tier"

COST = f"""
SELECT coalesce(sum(c.cost_usd), 0), count(*) FILTER (WHERE {UNKNOWN_COST})
FROM jobs j JOIN calls c ON c.job_id = j.id WHERE j.batch_id = %s
"""

_JOB_COLUMNS = columns(
    JobOfBatch,
    "j",
    {
        "output": "a.output",
        "verdict": "t.verdict",
        "cost_usd": "coalesce(s.cost_usd, 0)",
        "unknown_cost_calls": "s.unknown_cost_calls",
    },
)

_JOBS = f"""
SELECT {_JOB_COLUMNS}
FROM (
    SELECT * FROM jobs j
    WHERE batch_id = %(batch_id)s AND batch_row > %(after)s {{filter}}
    ORDER BY batch_row LIMIT %(limit)s
) j
LEFT JOIN answers a ON a.job_id = j.id AND a.attempt = j.answer_attempt
LEFT JOIN attempts t ON t.job_id = j.id AND t.number = j.attempts
CROSS JOIN LATERAL (
    SELECT sum(c.cost_usd) AS cost_usd, count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls
    FROM calls c WHERE c.job_id = j.id
) s
ORDER BY j.batch_row
"""

JOBS = _JOBS.format(filter="")
UNANSWERED_JOBS = _JOBS.format(filter="AND status IN ('failed', 'expired', 'cancelled')")

BAD_ROWS = f"""
SELECT {columns(BadRowOfBatch, "e")} FROM batch_errors e
WHERE batch_id = %(batch_id)s AND batch_row > %(after)s
ORDER BY batch_row LIMIT %(limit)s
"""


def progress(connection: Connection[Any], batch_id: UUID) -> Progress:
    """Counted anew each time, which takes seconds for a million jobs."""
    rows = connection.execute(COUNTS, (batch_id,)).fetchall()
    spent = connection.execute(COST, (batch_id,)).fetchone()
    assert spent is not None, "a sum is one row"
    return Progress({(status, tier): count for status, tier, count in rows}, spent[0], spent[1])


def progress_if_quick(connection: Connection[Any], batch_id: UUID) -> Progress | None:
    """None if counting takes longer than the connection's statement timeout."""
    try:
        return progress(connection, batch_id)
    except psycopg.errors.QueryCanceled:
        return None


def page(
    connection: Connection[Any],
    batch_id: UUID,
    after: int,
    limit: int,
    *,
    unanswered_only: bool = False,
) -> list[JobOfBatch | BadRowOfBatch]:
    """At most `limit` rows with batch_row above `after`, in order: jobs and bad rows alike.

    `unanswered_only` leaves out jobs that are completed or
    have not ended.
    """
    parameters = {"batch_id": batch_id, "after": after, "limit": limit}
    rows: list[JobOfBatch | BadRowOfBatch] = []
    with connection.cursor(row_factory=class_row(JobOfBatch)) as cursor:
        rows += cursor.execute(UNANSWERED_JOBS if unanswered_only else JOBS, parameters).fetchall()
    with connection.cursor(row_factory=class_row(BadRowOfBatch)) as cursor:
        rows += cursor.execute(BAD_ROWS, parameters).fetchall()
    rows.sort(key=lambda row: row["batch_row"])
    return rows[:limit]
