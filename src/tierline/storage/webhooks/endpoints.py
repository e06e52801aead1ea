"""Registered webhook endpoints. Each statement names the account, so that it cannot reach
another's.

Lock order: account, endpoint, delivery.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.views.webhooks.endpoints import Endpoint

_COLUMNS = """id, seq, url, description, events, include, max_in_flight, batch_rows, any_port,
    format, disabled_at, disabled_reason,
    CASE WHEN old_secret_until > clock_timestamp() THEN old_secret_until END AS old_secret_until,
    created_at"""


def count_for_adding(connection: Connection[Any], account_id: int) -> int:
    """The account's number of endpoints. Nobody adds another until this transaction ends."""
    connection.execute("SELECT FROM accounts WHERE id = %s FOR NO KEY UPDATE", (account_id,))
    row = connection.execute(
        "SELECT count(*) FROM webhook_endpoints WHERE account_id = %s", (account_id,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def add(
    connection: Connection[Any],
    account_id: int,
    endpoint_id: UUID,
    *,
    url: str,
    description: str,
    events: Sequence[str],
    include: Sequence[str],
    max_in_flight: int,
    batch_rows: bool,
    format: str,
    secret: str,
) -> Endpoint:
    """A new endpoint."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        row = cursor.execute(
            f"""
            INSERT INTO webhook_endpoints (id, account_id, url, description, events, include,
                max_in_flight, batch_rows, any_port, format, secret)
            VALUES (%(id)s, %(account)s, %(url)s, %(description)s, %(events)s, %(include)s,
                %(max_in_flight)s, %(batch_rows)s, false, %(format)s, %(secret)s)
            RETURNING {_COLUMNS}
            """,
            {
                "id": endpoint_id,
                "account": account_id,
                "url": url,
                "description": description,
                "events": list(events),
                "include": list(include),
                "max_in_flight": max_in_flight,
                "batch_rows": batch_rows,
                "format": format,
                "secret": secret,
            },
        ).fetchone()
        assert row is not None
        return row


def page(
    connection: Connection[Any], account_id: int, limit: int, before: int | None = None
) -> list[Endpoint]:
    """The account's endpoints with `seq` below `before`, the newest first."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM webhook_endpoints"
            " WHERE account_id = %s AND seq < coalesce(%s, 9223372036854775807)"
            " ORDER BY seq DESC LIMIT %s",
            (account_id, before, limit),
        ).fetchall()


def get(
    connection: Connection[Any], account_id: int, endpoint_id: UUID, *, lock: bool = False
) -> Endpoint | None:
    """One endpoint of the account; with `lock`, locked against changes by others in this
    transaction.
    """
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = %s AND account_id = %s"
            + (" FOR UPDATE" if lock else ""),
            (endpoint_id, account_id),
        ).fetchone()


def write(connection: Connection[Any], changed: Endpoint, *, disabled: bool) -> Endpoint:
    """Write the changeable columns of a locked endpoint. Enabling it again clears the reason why it
    was disabled.
    """
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        row = cursor.execute(
            f"""
            UPDATE webhook_endpoints SET
                url = %(url)s, description = %(description)s, events = %(events)s,
                include = %(include)s, max_in_flight = %(max_in_flight)s,
                batch_rows = %(batch_rows)s, any_port = %(any_port)s, format = %(format)s,
                disabled_at = CASE WHEN %(disabled)s
                    THEN coalesce(disabled_at, clock_timestamp()) END,
                disabled_reason = CASE WHEN %(disabled)s
                    THEN coalesce(disabled_reason, 'disabled by its account') END
            WHERE id = %(id)s RETURNING {_COLUMNS}
            """,
            {**vars(changed), "disabled": disabled},
        ).fetchone()
        assert row is not None
        return row


def remove(connection: Connection[Any], endpoint_id: UUID) -> None:
    """Delete a locked endpoint; its deliveries stay listed."""
    connection.execute("DELETE FROM webhook_endpoints WHERE id = %s", (endpoint_id,))


def rotate_secret(
    connection: Connection[Any], endpoint_id: UUID, secret: str, overlap_s: float
) -> Endpoint:
    """Give a locked endpoint a new secret; the old one signs too for `overlap_s` seconds."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        row = cursor.execute(
            "UPDATE webhook_endpoints SET old_secret = secret, secret = %s,"
            " old_secret_until = clock_timestamp() + make_interval(secs => %s)"
            f" WHERE id = %s RETURNING {_COLUMNS}",
            (secret, overlap_s, endpoint_id),
        ).fetchone()
        assert row is not None
        return row
