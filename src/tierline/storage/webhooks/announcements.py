"""Who listens to an event, and the rows for its body.

They are read in the transaction that caused the event, after its UPDATE.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.storage.jobs.job_reads import PLACE

_ENDPOINTS = """
    SELECT e.account_id, e.id, e.url, e.include, e.format FROM webhook_endpoints e
    JOIN {source} s ON s.account_id = e.account_id
    WHERE s.id = %(id)s AND e.disabled_at IS NULL
        AND (e.events = '{{}}' OR %(event)s = ANY(e.events))
"""

JOB_LISTENERS = (
    "SELECT j.account_id, NULL::uuid, r.webhook_url, '{}'::text[], 'tierline' FROM jobs j"
    " JOIN job_requests r ON r.job_id = j.id"
    " WHERE j.id = %(id)s AND r.webhook_url IS NOT NULL UNION ALL"
    + _ENDPOINTS.format(source="jobs")
    # A draft's results are read by whoever tries it; the account's receivers do not know that
    # feature.
    + " AND NOT EXISTS (SELECT FROM feature_versions v"
    " WHERE v.id = s.feature_version_id AND v.version < 0) AND s.shadow_of IS NULL"
    # A batch of a million rows causes one event, unless an endpoint asks for an event per row.
    " AND (e.batch_rows OR s.batch_id IS NULL)"
)

BATCH_LISTENERS = (
    "SELECT account_id, NULL::uuid, webhook_url, '{}'::text[], 'tierline' FROM batches"
    " WHERE id = %(id)s AND webhook_url IS NOT NULL UNION ALL" + _ENDPOINTS.format(source="batches")
)

ACCOUNT_LISTENERS = _ENDPOINTS.format(source="(SELECT id, id AS account_id FROM accounts)")

JOB_ROW = f"""
SELECT j.id, f.name AS feature, f.version AS feature_version, j.status, j.tier,
    {PLACE.format(version="f")} AS place,
    f.document -> 'status_label' ->> j.tier AS own_label,
    j.unverified, j.blocked_reason, j.escalation_reason, j.batch_id, j.custom_id, r.metadata,
    j.created_at, j.completed_at, w.output, j.error_code, j.error_message, clock_timestamp() AS at
FROM jobs j
JOIN job_requests r ON r.job_id = j.id
JOIN feature_versions f ON f.id = j.feature_version_id
LEFT JOIN answers w ON w.job_id = j.id AND w.attempt = j.answer_attempt
WHERE j.id = %s
"""

BATCH_ROW = """
SELECT b.id, f.name AS feature, f.version AS feature_version, b.status, b.metadata, b.created_at,
    b.completed_at, clock_timestamp() AS at,
    (SELECT coalesce(sum(p.bad_rows), 0)::bigint FROM batch_parts p WHERE p.batch_id = b.id)
        AS bad_rows,
    (SELECT coalesce(json_object_agg(counted.status, counted.jobs), '{}')
     FROM (SELECT status, count(*) AS jobs FROM jobs WHERE batch_id = b.id GROUP BY status) counted)
        AS counts
FROM batches b JOIN feature_versions f ON f.id = b.feature_version_id
WHERE b.id = %s
"""


@dataclass(frozen=True)
class Listener:
    """One receiver of an event."""

    account_id: int
    endpoint_id: UUID | None  # None: the job's or the batch's own webhook_url
    url: str
    include: frozenset[str]
    format: str  # of the body


def job_listeners(connection: Connection[Any], event: str, job_id: UUID) -> list[Listener]:
    """The job's own URL, and its account's enabled endpoints for `event`. For a batch's row: only
    endpoints that ask for rows."""
    return _listeners(connection, JOB_LISTENERS, event, job_id)


def batch_listeners(connection: Connection[Any], event: str, batch_id: UUID) -> list[Listener]:
    """The batch's own URL, and its account's enabled endpoints for `event`."""
    return _listeners(connection, BATCH_LISTENERS, event, batch_id)


def account_listeners(connection: Connection[Any], event: str, account_id: int) -> list[Listener]:
    """The account's enabled endpoints for `event`."""
    return _listeners(connection, ACCOUNT_LISTENERS, event, account_id)


def _listeners(
    connection: Connection[Any], statement: str, event: str, about: UUID | int
) -> list[Listener]:
    with connection.cursor() as cursor:
        rows = cursor.execute(statement, {"id": about, "event": event})
        return [
            Listener(account, endpoint, url, frozenset(include), format)
            for account, endpoint, url, include, format in rows
        ]


def job_row(connection: Connection[Any], job_id: UUID) -> dict[str, Any]:
    """The job as it is in this transaction."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(JOB_ROW, (job_id,)).fetchone()
    assert row is not None
    return row


def batch_row(connection: Connection[Any], batch_id: UUID) -> dict[str, Any]:
    """The batch as it is in this transaction."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(BATCH_ROW, (batch_id,)).fetchone()
    assert row is not None
    return row
