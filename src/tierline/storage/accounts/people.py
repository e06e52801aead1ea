"""People who sign in to the console by OpenID Connect, and the sign-ins that were completed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection, Connection

from tierline.storage.db.rows import typed_row, typed_rows


class Person(NamedTuple):
    """A person as an ID token tells of them. Issuer and subject together identify them."""

    issuer: str
    subject: str
    name: str
    account_id: int
    scopes: Sequence[str]


class KnownPerson(NamedTuple):
    """Who a person is in the audit log."""

    id: int
    account_id: int


class ListedPerson(NamedTuple):
    """A person, as read to be shown."""

    id: int
    account_id: int
    name: str
    subject: str
    account: str
    scopes: list[str]
    signed_in_at: datetime
    sessions: int  # that have not ended


_LISTED = """
SELECT p.id, p.account_id, p.name, p.subject, a.name AS account, p.scopes, p.signed_in_at,
    (SELECT count(*) FROM console_sessions s
     WHERE s.key_id = p.id AND s.expires_at > clock_timestamp()) AS sessions
FROM console_people p JOIN accounts a ON a.id = p.account_id
"""


async def note_completed(
    connection: AsyncConnection[Any], digest: bytes, lifetime_s: float
) -> bool:
    """Note that a sign-in was completed. False: it was before. Of two calls at once, one gets True.
    Removes those that could not be repeated any more."""
    stored = await connection.execute(
        "WITH expired AS ("
        " DELETE FROM console_sign_ins WHERE digest IN ("
        "  SELECT digest FROM console_sign_ins WHERE expires_at < clock_timestamp()"
        "  LIMIT 1000 FOR UPDATE SKIP LOCKED))"
        " INSERT INTO console_sign_ins (digest, expires_at)"
        " VALUES (%s, clock_timestamp() + make_interval(secs => %s))"
        " ON CONFLICT (digest) DO NOTHING",
        (digest, lifetime_s),
    )
    return stored.rowcount == 1


async def account_id(connection: AsyncConnection[Any], name: str) -> int | None:
    """The account of that name."""
    cursor = await connection.execute("SELECT id FROM accounts WHERE name = %s", (name,))
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def keep_person(connection: AsyncConnection[Any], person: Person) -> int:
    """Store the person, or what changed about them. Returns their number.

    Their other sessions get the new scopes too. If the account changed, those sessions end: a page
    that is open must not act in another account. Call it in a transaction.
    """
    values = person._asdict() | {"scopes": list(person.scopes)}
    await connection.execute(
        "DELETE FROM console_sessions s USING console_people p WHERE s.key_id = p.id"
        " AND p.issuer = %(issuer)s AND p.subject = %(subject)s"
        " AND p.account_id <> %(account_id)s",
        values,
    )
    cursor = await connection.execute(
        "INSERT INTO console_people (id, issuer, subject, name, account_id, scopes)"
        " VALUES (nextval(pg_get_serial_sequence('api_keys', 'id')), %(issuer)s, %(subject)s,"
        " %(name)s, %(account_id)s, %(scopes)s)"
        " ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name,"
        " account_id = excluded.account_id, scopes = excluded.scopes,"
        " signed_in_at = clock_timestamp()"
        " RETURNING id",
        values,
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that did not fail returns its row"
    return int(row[0])


async def end_sessions(
    connection: AsyncConnection[Any], issuer: str, subject: str
) -> KnownPerson | None:
    """End all sessions of a person. Returns the person; None: nobody of that subject ever signed
    in. Safe to repeat."""
    cursor = await connection.execute(
        "WITH p AS (SELECT id, account_id FROM console_people"
        " WHERE issuer = %s AND subject = %s),"
        " ended AS (DELETE FROM console_sessions s USING p WHERE s.key_id = p.id)"
        " SELECT id, account_id FROM p",
        (issuer, subject),
    )
    row = await cursor.fetchone()
    return None if row is None else KnownPerson(*row)


def list_people(
    connection: Connection[Any], account_id: int | None, before: int | None, limit: int
) -> list[ListedPerson]:
    """People with a number below `before`, the newest first; with `account_id` only that
    account's."""
    return typed_rows(
        connection,
        ListedPerson,
        f"{_LISTED} WHERE (%(account)s::bigint IS NULL OR p.account_id = %(account)s)"
        " AND (%(before)s::bigint IS NULL OR p.id < %(before)s)"
        " ORDER BY p.id DESC LIMIT %(limit)s",
        {"account": account_id, "before": before, "limit": limit},
    )


def person_by_id(connection: Connection[Any], person_id: int) -> ListedPerson | None:
    """The person of that number."""
    return typed_row(connection, ListedPerson, f"{_LISTED} WHERE p.id = %s", (person_id,))


def lock_person(connection: Connection[Any], person_id: int) -> None:
    """Until this transaction ends, the person's account and scopes do not change: a sign-in of
    theirs waits."""
    connection.execute("SELECT FROM console_people WHERE id = %s FOR UPDATE", (person_id,))


def end_sessions_of(connection: Connection[Any], person_id: int) -> int:
    """End all sessions of a person. Returns how many had not ended before."""
    return connection.execute(
        "DELETE FROM console_sessions s USING console_people p"
        " WHERE s.key_id = p.id AND p.id = %s AND s.expires_at > clock_timestamp()",
        (person_id,),
    ).rowcount
