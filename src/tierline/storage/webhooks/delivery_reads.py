"""Reads deliveries for their account. Changes nothing."""

from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.storage.db.snapshot import one_snapshot
from tierline.views.webhooks.deliveries import DeliveryRow

_COLUMNS = """
SELECT id, seq, endpoint_id, url, job_id, batch_id, event, status, tries,
    claim_token IS NOT NULL AS in_flight,
    body IS NULL OR (drop_body AND status <> 'pending') AS body_removed,
    next_try_at, created_at, ended_at, last_status, last_error
"""
_ROW = f"{_COLUMNS}FROM deliveries"

# {walk}: what an index leads to. {matches}: what is looked for there.
_WALK = {
    "account_id": "account_id = %(account_id)s",
    "before": "seq < %(before)s",
    "job_id": "job_id = %(job_id)s",
}
_MATCHES = {"endpoint_id": "endpoint_id = %(endpoint_id)s", "status": "status = %(status)s"}
_PAGE = f"""{_COLUMNS}FROM (
    SELECT * FROM deliveries WHERE {{walk}} ORDER BY seq DESC LIMIT %(most)s
) deliveries
WHERE true{{matches}} ORDER BY seq DESC LIMIT %(limit)s
"""
_LAST = """
SELECT seq FROM deliveries WHERE {walk} ORDER BY seq DESC OFFSET %(most)s - 1 LIMIT 1
"""


class Deliveries(NamedTuple):
    """What a page has."""

    rows: list[DeliveryRow]
    stopped: int | None  # the `seq` before which more may follow; None: these are all


def page(
    connection: Connection[Any],
    account_id: int,
    *,
    limit: int,
    most: int,
    before: int | None = None,
    endpoint_id: UUID | None = None,
    status: str | None = None,
    job_id: UUID | None = None,
) -> Deliveries:
    """An account's deliveries with `seq` below `before`, the newest first. Those of an endpoint or
    a status are looked for among the next `most`; those of a job have an index.
    """
    given = {
        "before": before,
        "endpoint_id": endpoint_id,
        "status": status,
        "job_id": job_id,
    }
    values = {name: value for name, value in given.items() if value is not None}
    parameters = {**values, "account_id": account_id, "limit": limit + 1, "most": most}
    walk = " AND ".join(text for name, text in _WALK.items() if name in parameters)
    matches = "".join(f" AND {text}" for name, text in _MATCHES.items() if name in values)
    with (
        one_snapshot(connection, read_only=True),  # where it stopped is counted among the same rows
        connection.cursor(row_factory=class_row(DeliveryRow)) as cursor,
    ):
        rows = cursor.execute(_PAGE.format(walk=walk, matches=matches), parameters).fetchall()
        if len(rows) > limit:
            return Deliveries(rows[:limit], rows[limit - 1].seq)
        walked = connection.execute(_LAST.format(walk=walk), parameters) if matches else None
        last = None if walked is None else walked.fetchone()
    return Deliveries(rows, None if last is None else last[0])


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
