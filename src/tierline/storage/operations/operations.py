"""Operations: requested by a caller, done by one process at a time under a lease.

Each statement of the working process names its claim token. With a token that is no longer valid,
the statement changes nothing, and the function's return value shows that.
"""

import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status
from tierline.rules.operations import Change, Failure
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.views.operations.operations import OperationRow

COLUMNS = """id, feature, kind, account_id, readable_account_id, options, status, progress,
    claim_token, losses, cancel_requested_at, result, error_code, error_message, created_at,
    started_at, completed_at"""

# The same token claims the same operation again, because a connection may be cut after the commit.
CLAIM = f"""
UPDATE operations SET status = '{Status.IN_PROGRESS}', claim_token = %(token)s, beat = 0,
    started_at = coalesce(started_at, clock_timestamp())
WHERE id = coalesce(
    (SELECT id FROM operations
     WHERE claim_token = %(token)s AND status = '{Status.IN_PROGRESS}'),
    (SELECT id FROM operations WHERE status = '{Status.QUEUED}' AND kind = ANY(%(kinds)s)
     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
)
RETURNING {COLUMNS}
"""

HELD = f"claim_token = %(token)s AND status = '{Status.IN_PROGRESS}'"


def add_operation(
    connection: Connection[Any],
    *,
    feature: str,
    kind: str,
    account_id: int,
    readable_account_id: int | None,
    options: Mapping[str, JSON],
) -> OperationRow | None:
    """Add a queued operation. None if the feature has a queued or running one of this kind."""
    return typed_row(
        connection,
        OperationRow,
        "INSERT INTO operations (feature, kind, account_id, readable_account_id, options)"
        " VALUES (%(feature)s, %(kind)s, %(account_id)s, %(readable_account_id)s,"
        " %(options)s::json)"
        " ON CONFLICT (feature, kind) WHERE status IN ('queued', 'in_progress') DO NOTHING"
        f" RETURNING {COLUMNS}",
        {
            "feature": feature,
            "kind": kind,
            "account_id": account_id,
            "readable_account_id": readable_account_id,
            "options": json.dumps(options),
        },
    )


def open_operation(connection: Connection[Any], feature: str, kind: str) -> OperationRow | None:
    """The feature's queued or running operation of that kind."""
    return typed_row(
        connection,
        OperationRow,
        f"SELECT {COLUMNS} FROM operations WHERE feature = %(feature)s AND kind = %(kind)s"
        " AND status IN ('queued', 'in_progress')",
        {"feature": feature, "kind": kind},
    )


def operation(
    connection: Connection[Any], feature: str, id: int, kinds: Collection[str]
) -> OperationRow | None:
    """One operation of a feature, of one of these kinds."""
    return typed_row(
        connection,
        OperationRow,
        f"SELECT {COLUMNS} FROM operations"
        " WHERE feature = %(feature)s AND id = %(id)s AND kind = ANY(%(kinds)s)",
        {"feature": feature, "id": id, "kinds": list(kinds)},
    )


def list_operations(
    connection: Connection[Any], feature: str, kinds: Collection[str], most: int = 100
) -> list[OperationRow]:
    """A feature's operations of these kinds, the newest first."""
    return typed_rows(
        connection,
        OperationRow,
        f"SELECT {COLUMNS} FROM operations WHERE feature = %s AND kind = ANY(%s)"
        " ORDER BY id DESC LIMIT %s",
        (feature, list(kinds), most),
    )


def ask_to_cancel(
    connection: Connection[Any], feature: str, id: int, kinds: Collection[str]
) -> OperationRow | None:
    """Cancel a queued operation at once. A running one ends within seconds, when its process reads
    the request. An ended one does not change. None if the feature has no such operation.
    """
    row = typed_row(
        connection,
        OperationRow,
        "UPDATE operations SET"
        " cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),"
        f" status = CASE status WHEN '{Status.QUEUED}' THEN '{Status.CANCELLED}' ELSE status END,"
        f" completed_at = CASE status WHEN '{Status.QUEUED}' THEN clock_timestamp() END"
        " WHERE feature = %(feature)s AND id = %(id)s AND kind = ANY(%(kinds)s)"
        f" AND status IN ('queued', 'in_progress') RETURNING {COLUMNS}",
        {"feature": feature, "id": id, "kinds": list(kinds)},
    )
    return row or operation(connection, feature, id, kinds)


def claim(connection: Connection[Any], token: UUID, kinds: Collection[str]) -> OperationRow | None:
    """Claim the oldest queued operation of these kinds. Safe to repeat."""
    return typed_row(connection, OperationRow, CLAIM, {"token": token, "kinds": list(kinds)})


def claimed(connection: Connection[Any], token: UUID) -> OperationRow | None:
    """The operation that the token holds."""
    return typed_row(
        connection, OperationRow, f"SELECT {COLUMNS} FROM operations WHERE {HELD}", {"token": token}
    )


def raise_beat(connection: Connection[Any], token: UUID) -> bool | None:
    """Record that the operation's process is alive. Returns whether a cancel was requested; None:
    the lease is lost.
    """
    row = connection.execute(
        f"UPDATE operations SET beat = beat + 1 WHERE {HELD}"
        " RETURNING cancel_requested_at IS NOT NULL",
        {"token": token},
    ).fetchone()
    return None if row is None else bool(row[0])


def read_beats(connection: Connection[Any], kinds: Collection[str]) -> dict[UUID, int]:
    """The beat of each running operation, by its claim token."""
    rows = connection.execute(
        "SELECT claim_token, beat FROM operations"
        f" WHERE status = '{Status.IN_PROGRESS}' AND kind = ANY(%s)",
        (list(kinds),),
    )
    return dict(rows.fetchall())


def note_progress(connection: Connection[Any], token: UUID, progress: JSON) -> bool:
    """Store its progress. False if the token is no longer valid or a cancel was requested."""
    updated = connection.execute(
        f"UPDATE operations SET progress = %(progress)s::json WHERE {HELD}"
        " AND cancel_requested_at IS NULL",
        {"token": token, "progress": json.dumps(progress)},
    )
    return updated.rowcount == 1


def complete(connection: Connection[Any], token: UUID, result: JSON) -> bool:
    """Store its result, in the same transaction as what the operation made. False if the token is
    no longer valid or a cancel was requested; roll the transaction back then.
    """
    updated = connection.execute(
        f"UPDATE operations SET status = '{Status.COMPLETED}', result = %(result)s::json,"
        f" completed_at = clock_timestamp() WHERE {HELD} AND cancel_requested_at IS NULL",
        {"token": token, "result": json.dumps(result)},
    )
    return updated.rowcount == 1


def fail(connection: Connection[Any], token: UUID, failure: Failure) -> bool:
    """Store why it failed. False if the token is no longer valid or a cancel was requested."""
    updated = connection.execute(
        f"UPDATE operations SET status = '{Status.FAILED}', error_code = %(code)s,"
        " error_message = %(message)s, completed_at = clock_timestamp()"
        f" WHERE {HELD} AND cancel_requested_at IS NULL",
        {"token": token, "code": failure.code, "message": failure.message},
    )
    return updated.rowcount == 1


def forget_ended(connection: Connection[Any], older_than: timedelta, most: int) -> int:
    """Remove operations that ended so long ago, `most` at once. What they made stays. Returns how
    many.
    """
    return connection.execute(
        "DELETE FROM operations WHERE id IN (SELECT id FROM operations"
        " WHERE completed_at < clock_timestamp() - %s ORDER BY id LIMIT %s)",
        (older_than, most),
    ).rowcount


def lock_claimed(connection: Connection[Any], token: UUID) -> OperationRow | None:
    """The operation of the token, locked against changes by others in this transaction."""
    return typed_row(
        connection,
        OperationRow,
        f"SELECT {COLUMNS} FROM operations WHERE {HELD} FOR UPDATE",
        {"token": token},
    )


def write_change(connection: Connection[Any], id: int, change: Change) -> None:
    """Store the change of an operation that this transaction has locked. Its claim ends."""
    connection.execute(
        "UPDATE operations SET status = %(status)s, losses = %(losses)s, claim_token = NULL,"
        " error_code = %(code)s, error_message = %(message)s,"
        " progress = CASE WHEN %(open)s THEN NULL ELSE progress END,"
        " completed_at = CASE WHEN NOT %(open)s THEN clock_timestamp() END WHERE id = %(id)s",
        {
            "id": id,
            "status": change.status,
            "losses": change.losses,
            "code": change.failure and change.failure.code,
            "message": change.failure and change.failure.message,
            "open": change.status is Status.QUEUED,
        },
    )
