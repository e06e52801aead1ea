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

    id: int
    at: datetime
    account: str  # the key's; empty: it is not known
    key_id: int
    key_name: str
    key_prefix: str
    person: str  # the name of who signed in by OpenID Connect; empty: it was a key
    action: str
    job_id: UUID | None
    detail: dict[str, str | int] | None


_READ = """
SELECT l.id, l.at, coalesce(a.name, '') AS account, l.key_id, coalesce(k.name, '') AS key_name,
    coalesce(k.prefix, '') AS key_prefix, coalesce(p.name, '') AS person, l.action,
    l.job_id, l.detail
FROM audit_log l
    LEFT JOIN api_keys k ON k.id = l.key_id
    LEFT JOIN console_people p ON p.id = l.key_id
    LEFT JOIN accounts a ON a.id = l.account_id
"""
_NEWEST = " ORDER BY l.id DESC LIMIT %(limit)s"


def add(connection: Connection[Any], entry: Entry) -> None:
    """Add an entry, in the transaction of what it tells of."""
    connection.execute(_ADD, _values(entry))


async def add_async(connection: AsyncConnection[Any], entry: Entry) -> None:
    """The same on the API's pool."""
    await connection.execute(_ADD, _values(entry))


def of_job(connection: Connection[Any], job_id: UUID, limit: int) -> list[LoggedEntry]:
    """The newest entries about a job, the newest first."""
    return _read(connection, "l.job_id = %(job_id)s", job_id=job_id, limit=limit)


def page(
    connection: Connection[Any], account_id: int | None, before: int | None, limit: int
) -> list[LoggedEntry]:
    """Entries with an id below `before`, the newest first; with `account_id` only that account's.
    An index leads to them in both cases.
    """
    condition = "true" if account_id is None else "l.account_id = %(account_id)s"
    if before is not None:
        condition += " AND l.id < %(before)s"
    return _read(connection, condition, account_id=account_id, before=before, limit=limit)


def _read(connection: Connection[Any], condition: str, **values: object) -> list[LoggedEntry]:
    with connection.cursor(row_factory=class_row(LoggedEntry)) as cursor:
        return cursor.execute(f"{_READ} WHERE {condition}{_NEWEST}", values).fetchall()


def _values(entry: Entry) -> tuple[object, ...]:
    detail = None if entry.detail is None else Jsonb(entry.detail)
    return entry.account_id, entry.key_id, entry.action, entry.job_id, detail
