"""Files that were sent for a batch that is not started yet."""

from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row


class Upload(NamedTuple):
    """A file, as it was sent."""

    id: UUID
    name: str
    content: bytes


def lock_account(connection: Connection[Any], account_id: int) -> None:
    """In a transaction: be the only one that counts this account's files and adds to them."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('uploads', %s))", (account_id,)
    )


def add(
    connection: Connection[Any], upload: Upload, account_id: int, key_id: int, most: int
) -> bool:
    """Store a file, within `lock_account`. False if the account has `most` already."""
    row = connection.execute(
        "INSERT INTO uploads (id, account_id, key_id, name, content)"
        " SELECT %(id)s, %(account_id)s, %(key_id)s, %(name)s, %(content)s"
        " WHERE (SELECT count(*) FROM uploads WHERE account_id = %(account_id)s) < %(most)s",
        {**upload._asdict(), "account_id": account_id, "key_id": key_id, "most": most},
    )
    return row.rowcount == 1


def find(connection: Connection[Any], upload_id: UUID, key_id: int) -> Upload | None:
    """The file, if this key sent it."""
    with connection.cursor(row_factory=class_row(Upload)) as cursor:
        return cursor.execute(
            "SELECT id, name, content FROM uploads WHERE id = %s AND key_id = %s",
            (upload_id, key_id),
        ).fetchone()


def remove(connection: Connection[Any], upload_id: UUID) -> None:
    """Remove a file. Safe to repeat."""
    connection.execute("DELETE FROM uploads WHERE id = %s", (upload_id,))


def remove_old(connection: Connection[Any], older_than_s: float, limit: int) -> int:
    """Remove at most `limit` files that are older than so many seconds. Returns how many."""
    return connection.execute(
        "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads"
        " WHERE created_at < clock_timestamp() - make_interval(secs => %s)"
        " ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (older_than_s, limit),
    ).rowcount
