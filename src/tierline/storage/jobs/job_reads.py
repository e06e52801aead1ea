"""Reads jobs, their attempts and their calls for callers. Nothing is locked.

Money is summed from the calls at each read, because a job may gain the cost of a late call after
its end.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from tierline.base.json_text import JSONValue
from tierline.storage.batches.pauses import IS_HELD
from tierline.storage.db.columns import columns
from tierline.storage.db.homes import (
    Span,
    at_homes,
    read_at_home,
    read_at_home_async,
    read_at_homes,
    read_at_homes_async,
)
from tierline.storage.db.rows import declared_rows, typed_rows
from tierline.storage.jobs.claims import DECISION
from tierline.views.evidence.feedback import FeedbackRow
from tierline.views.jobs.attempts import AttemptRow, CallRow
from tierline.views.jobs.jobs import JobRow
from tierline.views.jobs.tokens import TOKENS

Kind = TypeVar("Kind")

# A call counts as of unknown cost if it was settled without a cost, or its attempt can no longer
# settle it. `c`: the call, `j`: its job.
UNKNOWN_COST = """
c.cost_usd IS NULL
    AND (c.settled_at IS NOT NULL OR j.status <> 'in_progress' OR c.attempt <> j.attempts)
"""

SUMS = ", ".join(f"sum(c.{name}) AS {name}" for name in TOKENS)
"""Token sums of the calls c, per group."""

PLACE = """
j.tier_index
    - (coalesce({version}.document #>> '{{tiers,0,models,0}}', '') LIKE 'micro:%%')::int
"""
# The position of the job's tier among those that call a model (`Feature.place`). A micro tier,
# which can only be the first, has -1. `{version}`: the job's feature version.

# Why a queued job's models take no calls now; null if one of them does. The table has a row only
# for models that failed.
HELD_BY = """
CASE WHEN j.status = 'queued' THEN (
    SELECT CASE
        WHEN count(*) = jsonb_array_length(v.document -> 'tiers' -> j.tier_index -> 'models')
        THEN string_agg(o.model || ': '
            || coalesce(o.reason, 'the provider asked to come back later'), '; ' ORDER BY o.model)
        END
    FROM circuits o
    WHERE (o.open OR o.paused_until > statement_timestamp())
        AND (v.document -> 'tiers' -> j.tier_index -> 'models') ? o.model
) END
"""

PAUSED = "SELECT FROM batches b WHERE b.id = j.batch_id AND b.paused_at IS NOT NULL"

JOB_COLUMNS = columns(
    JobRow,
    "j",
    {
        "feature": "v.name",
        "feature_version": "v.version",
        "place": PLACE.format(version="v"),
        "own_label": "v.document -> 'status_label' ->> j.tier",
        "output": "a.output",
        "metadata": "r.metadata",
        "user_key": "r.user_key",
        "session_key": "r.session_key",
        "cost_usd": "coalesce(s.cost_usd, 0)",
        "unknown_cost_calls": "s.unknown_cost_calls",
        "held_by": HELD_BY,
        "not_before": "CASE WHEN j.status = 'queued' AND j.run_after > statement_timestamp()"
        f" AND NOT j.{IS_HELD} THEN j.run_after END",
        "paused": f"j.status = 'queued' AND EXISTS ({PAUSED})",
        "hinted": "j.status = 'queued' AND j.hint_no IS NOT NULL",
        "last_verdict": "w.verdict",
        "last_reason": "w.reason",
        **{name: f"s.{name}" for name in TOKENS},
    },
)

# {jobs}: jobs, or anything with its columns. {requests}: JOIN, or LEFT JOIN where a request may be
# in a partition that is not named.
JOB_FROM = f"""
FROM {{jobs}} j
{{requests}} @job_requests r ON r.job_id = j.id
JOIN feature_versions v ON v.id = j.feature_version_id
LEFT JOIN @answers a ON a.job_id = j.id AND a.attempt = j.answer_attempt
CROSS JOIN LATERAL (
    SELECT sum(c.cost_usd) AS cost_usd,
        count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls,
        {SUMS}
    FROM @calls c WHERE c.job_id = j.id
) s
LEFT JOIN LATERAL (
    SELECT t.verdict, t.reason FROM @attempts t
    WHERE j.status = 'queued' AND t.job_id = j.id AND t.number = j.attempts
) w ON true
"""

_JOB = f"SELECT {JOB_COLUMNS} {JOB_FROM.format(jobs='@jobs', requests='JOIN')}"
JOB = f"{_JOB} WHERE j.id = %s"
JOB_OF_ACCOUNT = f"{JOB} AND j.account_id = %s"
JOBS = f"{_JOB} WHERE j.id = ANY(%s)"
JOBS_OF_ACCOUNT = f"{JOBS} AND j.account_id = %s ORDER BY array_position(%s, j.id)"
_job_rows = declared_rows(JobRow)

_ATTEMPT_COLUMNS = columns(
    AttemptRow,
    "a",
    {
        "answer": "w.text",
        "output": "w.output",
        "trace": "w.trace",
        "output_removed_at": "j.output_removed_at",
        "running": "j.status = 'in_progress' AND j.attempts = a.number",
        "routing": DECISION,
    },
)

ATTEMPTS = f"""
SELECT {_ATTEMPT_COLUMNS}
FROM @attempts a
JOIN @jobs j ON j.id = a.job_id
JOIN feature_versions v ON v.id = j.feature_version_id
LEFT JOIN @answers w ON w.job_id = a.job_id AND w.attempt = a.number
WHERE a.job_id = %s ORDER BY a.number
"""

CALLS = f"SELECT {columns(CallRow, 'c')} FROM @calls c WHERE job_id = %s ORDER BY attempt, number"

REQUEST = """
SELECT v.name AS feature, v.version < 0 AS draft, j.status, j.input_removed_at, r.input, r.metadata,
    r.webhook_url, r.user_key, r.session_key,
    extract(epoch FROM j.deadline_at - j.created_at)::float8 AS deadline_s
FROM @jobs j JOIN @job_requests r ON r.job_id = j.id
JOIN feature_versions v ON v.id = j.feature_version_id
WHERE j.id = %s AND j.account_id = %s
"""

BELONGS = "SELECT 1 FROM @jobs j WHERE id = %s AND account_id = %s"


class RequestRow(TypedDict):
    """A job's request."""

    feature: str
    draft: bool
    status: str
    input_removed_at: datetime | None
    input: JSONValue
    metadata: JSONValue
    webhook_url: str | None
    user_key: str | None
    session_key: str | None
    deadline_s: float | None


def job_row(connection: Connection[Any], job_id: UUID) -> JobRow | None:
    """A job's row, of any account; None if there is none."""
    rows = _rows(connection, JobRow, JOB, job_id, (job_id,))
    return rows[0] if rows else None


async def job_row_async(
    connection: AsyncConnection[Any], account_id: int, job_id: UUID
) -> JobRow | None:
    """An account's job; None when there is none or it is another's."""

    async def read(statement: str) -> JobRow | None:
        async with connection.cursor(row_factory=_job_rows) as cursor:
            await cursor.execute(statement.encode(), (job_id, account_id))
            return await cursor.fetchone()

    return await read_at_home_async(connection, JOB_OF_ACCOUNT, job_id, read)


async def account_job_rows_async(
    connection: AsyncConnection[Any], account_id: int, job_ids: Sequence[UUID]
) -> list[JobRow]:
    """Those of the jobs that are the account's, in the given order."""

    async def read(statement: str) -> list[JobRow]:
        async with connection.cursor(row_factory=_job_rows) as cursor:
            await cursor.execute(statement.encode(), (list(job_ids), account_id, list(job_ids)))
            return await cursor.fetchall()

    span = Span(min(job_ids), max(job_ids))
    return await read_at_homes_async(connection, JOBS_OF_ACCOUNT, span, read)


def account_job_rows(
    connection: Connection[Any], account_id: int, job_ids: Sequence[UUID]
) -> list[JobRow]:
    """The same, for a route in a thread."""
    return read_at_homes(
        connection,
        JOBS_OF_ACCOUNT,
        [Span(min(job_ids), max(job_ids))],
        lambda named: typed_rows(
            connection, JobRow, named, (list(job_ids), account_id, list(job_ids))
        ),
    )


async def request_of(
    connection: AsyncConnection[Any], account_id: int, job_id: UUID
) -> RequestRow | None:
    """A job's request, to run it again; None if the account has no such job."""

    async def read(statement: str) -> RequestRow | None:
        async with connection.cursor(row_factory=class_row(RequestRow)) as cursor:
            await cursor.execute(statement.encode(), (job_id, account_id))
            return await cursor.fetchone()

    return await read_at_home_async(connection, REQUEST, job_id, read)


def job_rows(connection: Connection[Any], ids: Sequence[UUID]) -> list[JobRow]:
    """The jobs with these ids, in no order, from the partitions that connection names for them."""
    statement = at_homes(connection, JOBS, Span(min(ids), max(ids)))
    with connection.cursor(row_factory=class_row(JobRow)) as cursor:
        return cursor.execute(statement, (list(ids),)).fetchall()


def belongs(connection: Connection[Any], account_id: int, job_id: UUID) -> bool:
    """Whether the account has such a job."""
    return bool(
        read_at_home(
            connection,
            BELONGS,
            job_id,
            lambda statement: connection.execute(statement, (job_id, account_id)).fetchall(),
        )
    )


def attempt_rows(connection: Connection[Any], job_id: UUID) -> list[AttemptRow]:
    """A job's attempts in order, with their answers."""
    return _rows(connection, AttemptRow, ATTEMPTS, job_id, (job_id,))


def call_rows(connection: Connection[Any], job_id: UUID) -> list[CallRow]:
    """A job's calls in order."""
    return _rows(connection, CallRow, CALLS, job_id, (job_id,))


def _rows(
    connection: Connection[Any],
    kind: type[Kind],
    statement: str,
    job_id: UUID,
    parameters: Sequence[Any],
) -> list[Kind]:
    return read_at_home(
        connection,
        statement,
        job_id,
        lambda named: typed_rows(connection, kind, named, parameters),
    )


def add_feedback(
    connection: Connection[Any],
    account_id: int,
    job_id: UUID,
    correct: bool | None,
    expected: str | None,
    comment: str | None,
) -> FeedbackRow | None:
    """Store feedback on a job's answer; None if the job is not the account's, or its output was
    removed.

    `expected` is JSON text. A job may have several; the last one counts. The job's row is locked,
    so that its content is not removed at the same time.
    """
    with connection.cursor(row_factory=class_row(FeedbackRow)) as cursor:
        return cursor.execute(
            "INSERT INTO feedback (job_id, account_id, correct, expected, comment)"
            " SELECT id, account_id, %(correct)s, %(expected)s::json, %(comment)s FROM jobs"
            " WHERE id = %(job_id)s AND account_id = %(account_id)s AND output_removed_at IS NULL"
            " FOR SHARE RETURNING id, job_id, correct, expected, comment, created_at",
            {
                "job_id": job_id,
                "account_id": account_id,
                "correct": correct,
                "expected": expected,
                "comment": comment,
            },
        ).fetchone()
