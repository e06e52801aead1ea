"""A file that a person sends to the console for a new batch, kept until the batch is started.

It is kept for an hour at most, and only the key that sent it can read it.
"""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import InvalidInput, LimitReached, NotFound, Problem
from tierline.base.ids import new_id
from tierline.storage.batches import uploads
from tierline.storage.batches.uploads import Upload

__all__ = ["Upload", "find_upload", "forget_uploads", "keep_upload", "remove_upload"]

KEPT_S = 3600.0
MOST_UPLOADS = 5  # of an account at once
MOST_NAME = 255  # characters
AT_ONCE = 20


def keep_upload(
    connection: Connection[Any], account_id: int, key_id: int, name: str, content: bytes
) -> Upload:
    """Store a file. Raises InvalidInput if it is empty, LimitReached if the account has too many
    that were not started.
    """
    if not content.strip():
        raise InvalidInput([Problem("the file is empty: choose another one", "/file")])
    clean = "".join(letter for letter in name if letter.isprintable())[-MOST_NAME:]
    upload = Upload(new_id(), clean or "file", content)
    with connection.transaction():
        uploads.lock_account(connection, account_id)
        stored = uploads.add(connection, upload, account_id, key_id, MOST_UPLOADS)
    if not stored:
        raise LimitReached(
            f"the account has {MOST_UPLOADS} uploaded files that were not started: start or remove"
            " one, or wait; each is removed after an hour",
            retry_after_s=KEPT_S,
        )
    return upload


def find_upload(connection: Connection[Any], upload_id: UUID, key_id: int) -> Upload:
    """The file. Raises NotFound if this key sent no such file, or it was removed."""
    upload = uploads.find(connection, upload_id, key_id)
    if upload is None:
        raise NotFound("there is no such uploaded file, or it was removed: upload it again")
    return upload


def remove_upload(connection: Connection[Any], upload_id: UUID) -> None:
    """Remove a file. Safe to repeat."""
    uploads.remove(connection, upload_id)


def forget_uploads(connection: Connection[Any]) -> None:
    """Remove the files that were kept for their time."""
    while uploads.remove_old(connection, KEPT_S, AT_ONCE) == AT_ONCE:
        pass
