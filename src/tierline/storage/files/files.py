"""Uploaded files and their parts.

A file is seen once its upload has ended. Until then its row expires an hour after the upload began,
so that what an interrupted upload leaves is removed like any other expired file.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from tierline.storage.db.columns import columns
from tierline.views.batches.files import StoredFile

_COLUMNS = columns(StoredFile, "f", {})
_SEEN = "f.status = 'stored' AND f.expires_at > clock_timestamp()"
_FILE = f"SELECT {_COLUMNS} FROM files f WHERE f.account_id = %(account_id)s AND {_SEEN}"


def begin(
    connection: Connection[Any], account_id: int, file_id: UUID, filename: str, within_s: float
) -> None:
    """Write the row of an upload that must end within `within_s` seconds."""
    connection.execute(
        "INSERT INTO files (id, account_id, status, filename, expires_at) VALUES"
        " (%s, %s, 'uploading', %s, clock_timestamp() + make_interval(secs => %s))",
        (file_id, account_id, filename, within_s),
    )


def account_bytes(connection: Connection[Any], account_id: int) -> int:
    """The size of all files of the account, those that are being uploaded included."""
    row = connection.execute(
        "SELECT coalesce(sum(bytes), 0)::bigint FROM files WHERE account_id = %s", (account_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def add_part(connection: Connection[Any], file_id: UUID, begins: int, body: bytes) -> bool:
    """Write a part of an upload; False if the upload is gone, because it took too long."""
    row = connection.execute(
        "WITH file AS (UPDATE files SET bytes = %(end)s"
        " WHERE id = %(id)s AND status = 'uploading' RETURNING id)"
        " INSERT INTO file_parts (file_id, begins, body) SELECT id, %(begins)s, %(body)s FROM file"
        " RETURNING file_id",
        {"id": file_id, "begins": begins, "end": begins + len(body), "body": body},
    ).fetchone()
    return row is not None


def finish(
    connection: Connection[Any],
    file_id: UUID,
    *,
    purpose: str,
    lines: int,
    sha256: bytes,
    key: str | None,
    kept_s: float,
) -> bool:
    """The upload has ended: the file is kept for `kept_s` seconds from its creation.

    False if the account has used the Idempotency-Key already, or the upload is gone.
    """
    try:
        done = connection.execute(
            "UPDATE files SET status = 'stored', purpose = %(purpose)s, lines = %(lines)s,"
            " sha256 = %(sha256)s, idempotency_key = %(key)s,"
            " expires_at = created_at + make_interval(secs => %(kept_s)s)"
            " WHERE id = %(id)s AND status = 'uploading'",
            {
                **{"id": file_id, "purpose": purpose, "lines": lines, "sha256": sha256},
                **{"key": key, "kept_s": kept_s},
            },
        )
    except UniqueViolation:
        return False
    return done.rowcount == 1


def file_row(connection: Connection[Any], account_id: int, file_id: UUID) -> StoredFile | None:
    """One file of the account; None when there is none, or it has expired."""
    return _one(connection, f"{_FILE} AND f.id = %(id)s", account_id, id=file_id)


def file_of_key(connection: Connection[Any], account_id: int, key: str) -> StoredFile | None:
    """The file that was uploaded with this Idempotency-Key."""
    return _one(connection, f"{_FILE} AND f.idempotency_key = %(key)s", account_id, key=key)


def _one(
    connection: Connection[Any], statement: str, account_id: int, **parameters: Any
) -> StoredFile | None:
    with connection.cursor(row_factory=class_row(StoredFile)) as cursor:
        return cursor.execute(statement, {"account_id": account_id, **parameters}).fetchone()


def list_files(
    connection: Connection[Any],
    account_id: int,
    *,
    after: UUID | None,
    limit: int,
    oldest_first: bool,
) -> list[StoredFile]:
    """A page of the account's files, after the file `after`."""
    sign, order = (">", "ASC") if oldest_first else ("<", "DESC")
    with connection.cursor(row_factory=class_row(StoredFile)) as cursor:
        return cursor.execute(
            f"{_FILE} AND (%(after)s::uuid IS NULL OR f.seq {sign} (SELECT seq FROM files"
            " WHERE id = %(after)s AND account_id = %(account_id)s))"
            f" ORDER BY f.seq {order} LIMIT %(limit)s",
            {"account_id": account_id, "after": after, "limit": limit},
        ).fetchall()


def body_at(connection: Connection[Any], file_id: UUID, offset: int) -> bytes:
    """The file's bytes from `offset` to the end of the part that has it; b"": none follow."""
    row = connection.execute(
        "SELECT substring(body FROM (%(offset)s - begins + 1)::int) FROM file_parts"
        " WHERE file_id = %(id)s AND begins <= %(offset)s ORDER BY begins DESC LIMIT 1",
        {"id": file_id, "offset": offset},
    ).fetchone()
    return b"" if row is None else bytes(row[0])


def blocks(connection: Connection[Any], file_id: UUID, offset: int) -> Iterator[bytes]:
    """The file's bytes from `offset` on, a part at a time."""
    while body := body_at(connection, file_id, offset):
        yield body
        offset += len(body)


def lock(connection: Connection[Any], account_id: int, file_id: UUID) -> bool:
    """Lock the file until the end of this transaction; False if there is none."""
    row = connection.execute(
        f"SELECT FROM files f WHERE f.id = %s AND f.account_id = %s AND {_SEEN} FOR UPDATE",
        (file_id, account_id),
    ).fetchone()
    return row is not None


def remove(connection: Connection[Any], file_id: UUID) -> None:
    """Remove a file with its parts. Call it in a transaction."""
    connection.execute("DELETE FROM file_parts WHERE file_id = %s", (file_id,))
    connection.execute("DELETE FROM files WHERE id = %s", (file_id,))


def end_within(connection: Connection[Any], file_id: UUID, seconds: float) -> None:
    """The file expires in `seconds` from now, if not before."""
    connection.execute(
        "UPDATE files SET expires_at ="
        " least(expires_at, clock_timestamp() + make_interval(secs => %s)) WHERE id = %s",
        (seconds, file_id),
    )


def expired(connection: Connection[Any], most: int) -> list[UUID]:
    """Files past their time that no batch is still read from; locked until the transaction ends."""
    rows = connection.execute(
        "SELECT id FROM files WHERE expires_at < clock_timestamp() AND NOT EXISTS ("
        "SELECT FROM batch_files b WHERE b.file_id = files.id AND b.read_at IS NULL)"
        " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (most,),
    )
    return [file_id for (file_id,) in rows]
