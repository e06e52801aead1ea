"""The log of what people did in the console. Rows are added and never changed."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

_ADD = (
    "INSERT INTO audit_log (account_id, key_id, action, job_id, detail) VALUES (%s, %s, %s, %s, %s)"
)


class Entry(NamedTuple):
    """Who did what, without its time."""

    account_id: int
    key_id: int
    action: str
    job_id: UUID | None = None
    detail: dict[str, str | int] | None = None


class LoggedEntry(NamedTuple):
    """An entry, as read to be shown."""

    at: datetime
    key_id: int
    key_name: str
    key_prefix: str
    action: str


def add(connection: Connection[Any], entry: Entry) -> None:
    """Add an entry, in the transaction of what it tells of."""
    connection.execute(_ADD, _values(entry))


async def add_async(connection: AsyncConnection[Any], entry: Entry) -> None:
    """The same on the API's pool."""
    await connection.execute(_ADD, _values(entry))


def of_job(connection: Connection[Any], job_id: UUID, limit: int) -> list[LoggedEntry]:
    """The newest entries about a job, the newest first."""
    with connection.cursor(row_factory=class_row(LoggedEntry)) as cursor:
        return cursor.execute(
            "SELECT l.at, l.key_id, coalesce(k.name, '') AS key_name,"
            " coalesce(k.prefix, '') AS key_prefix, l.action"
            " FROM audit_log l LEFT JOIN api_keys k ON k.id = l.key_id"
            " WHERE l.job_id = %s ORDER BY l.id DESC LIMIT %s",
            (job_id, limit),
        ).fetchall()


def _values(entry: Entry) -> tuple[object, ...]:
    detail = None if entry.detail is None else Jsonb(entry.detail)
    return entry.account_id, entry.key_id, entry.action, entry.job_id, detail
