"""The log of what people did in the console, and reading a job's content, which is logged."""

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import NotFound
from tierline.storage.accounts import audit
from tierline.storage.accounts.audit import Entry, LoggedEntry
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import job_reads
from tierline.storage.jobs.job_reads import RequestRow

__all__ = [
    "Entry",
    "LoggedEntry",
    "entries_of_job",
    "list_entries",
    "log_entry",
    "show_request",
]

CONTENT_SHOWN = "job.content_shown"
CANCELLED = "job.cancel_asked"
RETRIED = "job.retried"
SIGNED_IN = "session.began"
SIGNED_OUT = "session.ended"
PERSON_SIGNED_OUT = "person.signed_out"
SIGN_IN_REFUSED = "session.refused"
PROBED = "circuit.probe_asked"
ENDPOINT_ADDED = "webhook.added"
ENDPOINT_DISABLED = "webhook.disabled"
ENDPOINT_ENABLED = "webhook.enabled"
ENDPOINT_REMOVED = "webhook.removed"
ENDPOINT_TESTED = "webhook.tested"
ENDPOINT_RESIGNED = "webhook.secret_rotated"
RESENT = "webhook.resent"
ACCOUNT_CREATED = "account.created"
ACCOUNT_CHANGED = "account.changed"
KEY_CREATED = "key.created"
KEY_ROTATED = "key.rotated"
KEY_REVOKED = "key.revoked"
LABELLED = "job.labelled"
LABELS_REQUESTED = "labels.asked"
UPLOADED = "batch.file_uploaded"
UPLOAD_REMOVED = "batch.file_removed"
BATCH_STARTED = "batch.started"
BATCH_CANCELLED = "batch.cancel_asked"
BATCH_PAUSED = "batch.paused"
BATCH_RESUMED = "batch.resumed"
BATCH_DOWNLOADED = "batch.content_shown"
TRIED = "feature.tried"
DIFFERING_SHOWN = "evaluation.content_shown"
NOVEL_SHOWN = "drift.content_shown"
PROMOTED = "feature.promoted"
DEMOTED = "feature.demoted"
BULK_BEGUN = "bulk_action.begun"
BULK_ABORTED = "bulk_action.aborted"
MOST_ENTRIES = 50


async def show_request(
    pool: AsyncConnectionPool[Any], account_id: int, key_id: int, job_id: UUID
) -> RequestRow:
    """A job's request with its input, after logging that this key looked at it.

    Raises NotFound if the account has no such job. Nothing is returned that was not logged.
    """
    row = await again(pool, lambda c: job_reads.request_of(c, account_id, job_id))
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    await log_entry(pool, Entry(account_id, key_id, CONTENT_SHOWN, job_id))
    return row


async def log_entry(pool: AsyncConnectionPool[Any], entry: Entry) -> None:
    """Add an entry to the log. A cut connection may add it twice."""
    await again(pool, lambda connection: audit.add_async(connection, entry))


def entries_of_job(connection: Connection[Any], job_id: UUID) -> list[LoggedEntry]:
    """The newest MOST_ENTRIES entries about a job, the newest first. The caller has checked whose
    job it is.
    """
    return audit.of_job(connection, job_id, MOST_ENTRIES)


def list_entries(
    connection: Connection[Any], account_id: int | None, before: int | None, limit: int
) -> list[LoggedEntry]:
    """Entries with an id below `before`, the newest first. `account_id`: only what keys of that
    account did; None: of every account.
    """
    return audit.page(connection, account_id, before, limit)
