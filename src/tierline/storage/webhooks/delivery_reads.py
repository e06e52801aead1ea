"""Reads deliveries for their account. Changes nothing."""

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.views.webhooks.deliveries import DeliveryRow

_ROW = """
SELECT id, seq, endpoint_id, url, job_id, batch_id, event, status, tries,
    claim_token IS NOT NULL AS in_flight,
    body IS NULL OR (drop_body AND status <> 'pending') AS body_removed,
    next_try_at, created_at, ended_at, last_status, last_error
FROM deliveries
"""


def page(
    connection: Connection[Any],
    account_id: int,
    *,
    limit: int,
    before: int | None = None,
    endpoint_id: UUID | None = None,
    status: str | None = None,
    job_id: UUID | None = None,
) -> list[DeliveryRow]:
    """An account's deliveries with `seq` below `before`, the newest first."""
    where = {
        "account_id": ("account_id = %(account_id)s", account_id),
        "before": ("seq < %(before)s", before),
        "endpoint_id": ("endpoint_id = %(endpoint_id)s", endpoint_id),
        "status": ("status = %(status)s", status),
        "job_id": ("job_id = %(job_id)s", job_id),
    }
    conditions = {name: pair for name, pair in where.items() if pair[1] is not None}
    condition = " AND ".join(text for text, _ in conditions.values())
    with connection.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        return cursor.execute(
            f"{_ROW} WHERE {condition} ORDER BY seq DESC LIMIT %(limit)s",
            {"limit": limit, **{name: value for name, (_, value) in conditions.items()}},
        ).fetchall()


def row(
    connection: Connection[Any], account_id: int, delivery_id: UUID, *, lock: bool = False
) -> DeliveryRow | None:
    """One delivery of the account; with `lock`, locked against changes by others in this
    transaction.
    """
    with connection.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        return cursor.execute(
            f"{_ROW} WHERE id = %s AND account_id = %s" + (" FOR UPDATE" if lock else ""),
            (delivery_id, account_id),
        ).fetchone()
