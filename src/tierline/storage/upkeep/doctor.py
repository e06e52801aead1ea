"""The statements of `tierline doctor`: they find rows that do not fit together. Reads only.

Tables of history have no foreign keys, because those would keep a week from being removed. Each
statement here reads a window of job ids, gives one subject a row (an id, a day), and stops at
`%(most)s` rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from tierline.storage.db.engine import within
from tierline.storage.db.homes import TABLES, Span, at_homes, read_homes

_NO_JOB = "NOT EXISTS (SELECT FROM @jobs j WHERE j.id = t.job_id)"
_RANGE = "BETWEEN %(first)s AND %(last)s"
_JOBS = f"SELECT j.id FROM @jobs j WHERE j.id {_RANGE} AND"
_LIMIT = "LIMIT %(most)s"

ORPHANS = {
    f"{table}_without_job": f"SELECT t.job_id FROM {name} t WHERE t.job_id {_RANGE} AND {_NO_JOB}"
    for table, name in {
        **{table: f"@{table}" for table in TABLES},
        **{
            table: table
            for table in ("feedback", "evaluation_answers", "evaluation_judgements", "reservations")
        },
    }.items()
} | {
    "jobs_without_request": f"{_JOBS} NOT EXISTS"
    " (SELECT FROM @job_requests r WHERE r.job_id = j.id)",
    "jobs_without_account": f"{_JOBS} NOT EXISTS"
    " (SELECT FROM accounts a WHERE a.id = j.account_id)",
    "jobs_without_version": f"{_JOBS} NOT EXISTS"
    " (SELECT FROM feature_versions v WHERE v.id = j.feature_version_id)",
    "jobs_without_batch": f"{_JOBS} j.batch_id IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM batches b WHERE b.id = j.batch_id)",
    "calls_of_another_account": "SELECT j.id FROM @calls c JOIN @jobs j ON j.id = c.job_id"
    f" WHERE c.job_id {_RANGE} AND c.account_id <> j.account_id",
    "webhooks_without_job": "SELECT d.id FROM deliveries d WHERE d.status = 'pending'"
    " AND d.job_id IS NOT NULL AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = d.job_id)",
}
"""Rows that name a row which does not exist."""

# The sweep moves the first kind within a minute.
WRONG_PART = {
    "ended_among_live_jobs": "SELECT id FROM jobs WHERE part = 1 AND completed_at IS NOT NULL"
    " AND completed_at < statement_timestamp() - interval '10 minutes'",
    "jobs_in_two_parts": f"SELECT l.id FROM jobs l WHERE l.part = 1 AND l.id {_RANGE}"
    " AND EXISTS (SELECT FROM @jobs_ended e WHERE e.id = l.id)"
    f" UNION ALL SELECT b.id FROM jobs b WHERE b.part = 0 AND b.id {_RANGE}"
    " AND (EXISTS (SELECT FROM @jobs_ended e WHERE e.id = b.id)"
    " OR EXISTS (SELECT FROM jobs l WHERE l.part = 1 AND l.id = b.id))",
    "ended_without_end": "SELECT id FROM jobs WHERE part < 2 AND completed_at IS NULL"
    " AND status NOT IN ('queued', 'in_progress')",
}
"""Jobs that are not where their state says."""

# By UTC day: the calls of the rows, and those of the sums with what is not rolled up yet.
_SUMS = f"""
WITH uncounted AS MATERIALIZED (
    SELECT job_id, number FROM attempts, sums_state WHERE seq >= rolled_to
    UNION SELECT job_id, attempt FROM sums_pending WHERE attempt > 0
), of_rows AS (
    SELECT date_trunc('day', c.booked_at, 'UTC') AS day, count(*) AS calls,
        coalesce(sum(c.cost_usd), 0) AS cost_usd
    FROM @calls c
    WHERE c.job_id {_RANGE} AND c.booked_at >= %(since)s AND c.booked_at < %(until)s GROUP BY 1
), of_sums AS (
    SELECT day, sum(calls) AS calls, sum(cost_usd) AS cost_usd FROM (
        SELECT at AS day, calls, cost_usd FROM usage_sums
        WHERE daily AND at >= %(since)s AND at < %(until)s
        UNION ALL
        SELECT date_trunc('day', c.booked_at, 'UTC'), 1, coalesce(c.cost_usd, 0)
        FROM uncounted u JOIN calls c ON c.job_id = u.job_id AND c.attempt = u.number
        WHERE c.booked_at >= %(since)s AND c.booked_at < %(until)s
    ) both_kinds GROUP BY 1
)
SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ': '
    || coalesce(r.calls, 0) || ' calls, ' || coalesce(r.cost_usd, 0) || ' USD in the rows, '
    || coalesce(s.calls, 0) || ' and ' || coalesce(s.cost_usd, 0) || ' in the sums'
FROM of_rows r FULL JOIN of_sums s USING (day)
WHERE (coalesce(r.calls, 0), coalesce(r.cost_usd, 0))
    <> (coalesce(s.calls, 0), coalesce(s.cost_usd, 0))
ORDER BY day
"""
SUMS = {"sums_differ": _SUMS}
"""Days on which usage is not what its calls are."""

COUNTS_HISTORY = "SELECT history_from IS NOT NULL FROM sums_state"

STATEMENTS: Mapping[str, str] = {**ORPHANS, **WRONG_PART, **SUMS}
"""By the name of the flaw, the statement that finds it."""


@dataclass(frozen=True)
class Window:
    """What is read: the jobs of these ids, and the calls booked in [since, until)."""

    jobs: Span
    since: datetime
    until: datetime
    booked: Span  # the ids of all jobs that may have such calls


def prepare(connection: Connection[Any]) -> None:
    """Read the partitions, for a connection outside a pool."""
    read_homes(connection)


def find(
    connection: Connection[Any], flaw: str, window: Window, most: int, within_s: float
) -> list[str]:
    """Up to `most` subjects with this flaw. Raises QueryCanceled after `within_s` seconds."""
    span = window.booked if flaw in SUMS else window.jobs
    parameters = {
        "first": span.first,
        "last": span.last,
        "since": window.since,
        "until": window.until,
        "most": most,
    }
    statement = at_homes(connection, f"{STATEMENTS[flaw]} {_LIMIT}", span)
    with within(connection, within_s):
        return [str(subject) for (subject,) in connection.execute(statement, parameters)]


def counts_history(connection: Connection[Any]) -> bool:
    """Whether the sums still leave out what was there before they were."""
    return connection.execute(COUNTS_HISTORY).fetchone() == (True,)
