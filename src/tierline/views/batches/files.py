"""Uploaded files, and batches that are read from them, as read from their rows."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from tierline.views.batches.batches import StoredBatch


class StoredFile(TypedDict):
    """A file whose upload has ended. Each field is a column of the table `files`."""

    id: UUID
    seq: int
    account_id: int
    filename: str
    purpose: str
    bytes: int
    lines: int  # without blank ones
    sha256: bytes
    created_at: datetime
    expires_at: datetime


class BatchFile(TypedDict):
    """What a batch is read from, and how far. Each field is a column of `batch_files`."""

    batch_id: UUID
    account_id: int
    file_id: UUID
    endpoint: str
    lines: int
    read_to: int  # bytes
    line: int
    parts: int
    begun_at: datetime | None
    read_at: datetime | None
    cancelling_at: datetime | None
    output_deleted_at: datetime | None
    errors_deleted_at: datetime | None


class FileBatch(TypedDict):
    """A batch that is read from a file."""

    batch: StoredBatch
    file: BatchFile
