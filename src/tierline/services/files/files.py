"""Uploaded files: an upload arrives in parts, and is seen once it has ended.

A file belongs to an account and expires. No part is larger than PART_BYTES, so that nobody holds a
whole file in memory.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, LimitReached, NotFound, Problem
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.storage.batches import batch_files
from tierline.storage.files import files
from tierline.views.batches.files import StoredFile

PART_BYTES = 256 * 1024
CHECK_BYTES = 8 * 1024 * 1024  # of an upload, between two checks of what its account has
UPLOAD_S = 3600.0  # then the parts of an upload that did not end are removed
DAY_S = 86_400.0
LEAST_KEPT_S = 3600  # OpenAI's bounds of expires_after
MOST_KEPT_S = 2_592_000
FULL_S = 60.0  # Retry-After for an account that has no room left for files
REMOVED_AT_ONCE = 10


@dataclass
class Upload:
    """An upload under way. It counts the lines that are not blank."""

    account_id: int
    file_id: UUID
    filename: str
    size: int = 0  # bytes
    lines: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    _in_line: bool = False  # the present line has something besides blanks

    def add(self, body: bytes) -> None:
        """Count the bytes of a part that was written."""
        self.size += len(body)
        self.digest.update(body)
        first, *others = body.split(b"\n")
        self._in_line = self._in_line or bool(first.strip())
        for piece in others:
            self.lines += self._in_line
            self._in_line = bool(piece.strip())

    def end(self) -> None:
        self.lines += self._in_line
        self._in_line = False


def begin_upload(connection: Connection[Any], account_id: int, filename: str) -> Upload:
    """Begin a file. Raises LimitReached if the account's files take all the room it has."""
    _refuse_full(connection, account_id, 1)
    file_id = new_id()
    files.begin(connection, account_id, file_id, filename, UPLOAD_S)
    return Upload(account_id, file_id, filename)


def add_part(connection: Connection[Any], upload: Upload, body: bytes) -> None:
    """Write the next part. Raises InvalidInput if the file is larger than it may be, and
    LimitReached as `begin_upload`: the account may upload other files meanwhile.
    """
    most = settings().max_file_bytes
    size = upload.size + len(body)
    if size > most:
        raise InvalidInput([Problem(f"a file has at most {most:,} bytes", "/file")])
    if size // CHECK_BYTES > upload.size // CHECK_BYTES:
        _refuse_full(connection, upload.account_id, len(body))
    if not files.add_part(connection, upload.file_id, upload.size, body):
        raise Conflict(f"the upload took longer than {UPLOAD_S:g} s")
    upload.add(body)


def end_upload(
    connection: Connection[Any],
    upload: Upload,
    *,
    purpose: str,
    kept_s: int | None,
    key: str | None,
) -> tuple[StoredFile, bool]:
    """Return the file, or the earlier one that `key` stands for, and whether that one existed.

    `kept_s`: from now; None: as long as files are kept. Raises InvalidInput for an empty file,
    KeyReused for a key that was used with another file, and LimitReached as `begin_upload`.
    """
    upload.end()
    if not upload.size:
        raise InvalidInput([Problem("the file is empty", "/file")])
    _refuse_full(connection, upload.account_id, 0)
    sha256 = upload.digest.digest()
    longest_s = settings().file_days * DAY_S
    done = files.finish(
        connection,
        upload.file_id,
        purpose=purpose,
        lines=upload.lines,
        sha256=sha256,
        key=key,
        kept_s=longest_s if kept_s is None else min(kept_s, longest_s),
    )
    if done:
        return read(connection, upload.account_id, upload.file_id), False
    earlier = None if key is None else files.file_of_key(connection, upload.account_id, key)
    if earlier is None:
        raise Conflict("the upload was interrupted, or its Idempotency-Key is of an expired file")
    discard(connection, upload)
    if (earlier["sha256"], earlier["filename"]) != (sha256, upload.filename):
        raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
    return earlier, True


def discard(connection: Connection[Any], upload: Upload) -> None:
    """Remove an upload that did not end."""
    with connection.transaction():
        files.remove(connection, upload.file_id)


def read(connection: Connection[Any], account_id: int, file_id: UUID) -> StoredFile:
    """The file. Raises NotFound, also for one that has expired."""
    row = files.file_row(connection, account_id, file_id)
    if row is None:
        raise NotFound("there is no such file: it was deleted, or has expired")
    return row


def list_files(
    connection: Connection[Any],
    account_id: int,
    *,
    after: UUID | None,
    limit: int,
    oldest_first: bool,
) -> list[StoredFile]:
    """A page of the account's files, after the file `after`."""
    return files.list_files(
        connection, account_id, after=after, limit=limit, oldest_first=oldest_first
    )


def body_at(connection: Connection[Any], file_id: UUID, offset: int) -> bytes:
    """The file's next bytes from `offset` on; b"" at its end."""
    return files.body_at(connection, file_id, offset)


def blocks(connection: Connection[Any], file_id: UUID, offset: int = 0) -> Iterator[bytes]:
    """The file's bytes from `offset` on, a part at a time."""
    return files.blocks(connection, file_id, offset)


def delete(connection: Connection[Any], account_id: int, file_id: UUID) -> None:
    """Remove the file. Raises NotFound, and Conflict while a batch is read from it."""
    with connection.transaction():
        if not files.lock(connection, account_id, file_id):
            raise NotFound("there is no such file: it was deleted, or has expired")
        if batch_files.unread_of_file(connection, file_id):
            raise Conflict("a batch is still read from this file: cancel it, or wait")
        files.remove(connection, file_id)


def remove_expired(connection: Connection[Any]) -> int:
    """Remove expired files, and the rest of interrupted uploads. Returns how many; a repeat
    continues."""
    with connection.transaction():
        expired = files.expired(connection, REMOVED_AT_ONCE)
        for file_id in expired:
            files.remove(connection, file_id)
    return len(expired)


def _refuse_full(connection: Connection[Any], account_id: int, more: int) -> None:
    most = settings().max_account_file_bytes
    used = files.account_bytes(connection, account_id)
    if used + more > most:
        raise LimitReached(
            f"the account's files have {used:,} bytes, and may have {most:,}"
            " (TIERLINE_MAX_ACCOUNT_FILE_BYTES): delete some, or wait until they expire",
            FULL_S,
        )
