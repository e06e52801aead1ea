"""Accounts and their API keys. Of a key, the SHA-256 digest and the first characters are stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection, Connection, sql

from tierline.rules.limits import LIMITS, Limits
from tierline.storage.db.rows import all_rows, one_row

# serialises two first starts, so that one key is made and one operator remains
OPERATORS_LOCK = 0x7E21_0004

_KEY_COLUMNS = """
k.id, a.name AS account, k.name, k.prefix, k.scopes, k.created_at, k.expires_at, k.revoked_at,
k.last_used_at, k.replaced_by
"""

_LIVE = """k.revoked_at IS NULL
    AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())"""
_LIMITS = ", ".join(LIMITS)
_OF_ACCOUNT = f"EXISTS (SELECT FROM budgets b WHERE b.account_id = a.id AND b.hard), {_LIMITS}"
_ACCOUNT_COLUMNS = f"id, name, weight, {_LIMITS}, created_at"
CHANGEABLE = ("weight", *LIMITS)


@dataclass(frozen=True)
class LiveKey:
    """A valid key, as the API caches it for a moment; or a person who is signed in by OpenID
    Connect, as whom a session acts in the same way."""

    id: int  # of api_keys, or of console_people, which shares its numbers
    account_id: int
    account: str  # its name
    scopes: frozenset[str]
    limits: Limits  # the account's own
    capped: bool  # it has hard budgets, which a submission must check
    person: str = ""  # a person's name; empty: it is a key


async def live_key(connection: AsyncConnection[Any], digest: bytes) -> LiveKey | None:
    """The key of that digest, unless it is unknown, revoked or expired."""
    return await live_key_where(connection, "k.digest = %s", digest)


async def live_key_where(
    connection: AsyncConnection[Any], condition: LiteralString, value: object
) -> LiveKey | None:
    """The key `k` of a condition with one parameter, unless it is unknown, revoked or expired."""
    return await _live(
        connection,
        f"SELECT k.id, k.account_id, a.name, k.scopes, '', {_OF_ACCOUNT}"
        f" FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE {condition} AND {_LIVE}",
        (value,),
    )


async def live_person(
    connection: AsyncConnection[Any], session: bytes, issuer: str
) -> LiveKey | None:
    """The person of the session with that digest, unless the session is unknown or over, or the
    person is of another identity provider."""
    return await _live(
        connection,
        f"SELECT p.id, p.account_id, a.name, p.scopes, p.name, {_OF_ACCOUNT}"
        " FROM console_sessions s JOIN console_people p ON p.id = s.key_id"
        " JOIN accounts a ON a.id = p.account_id"
        " WHERE s.digest = %s AND s.expires_at > clock_timestamp() AND p.issuer = %s",
        (session, issuer),
    )


async def _live(
    connection: AsyncConnection[Any], statement: LiteralString, values: Sequence[object]
) -> LiveKey | None:
    row = await (await connection.execute(statement, values)).fetchone()
    if row is None:
        return None
    id, account_id, account, scopes, person, capped, *limits = row
    return LiveKey(id, account_id, account, frozenset(scopes), Limits(*limits), capped, person)


async def note_used(connection: AsyncConnection[Any], key_ids: Collection[int]) -> None:
    """Record that these keys were used, to the minute."""
    await connection.execute(
        "UPDATE api_keys SET last_used_at = date_trunc('minute', clock_timestamp())"
        " WHERE id = ANY(%s) AND (last_used_at IS NULL"
        " OR last_used_at < date_trunc('minute', clock_timestamp()))",
        (list(key_ids),),
    )


def add_account(
    connection: Connection[Any], name: str, weight: int, webhook_secret: str
) -> Mapping[str, Any] | None:
    """A new account; None when the name is taken."""
    return one_row(
        connection,
        "INSERT INTO accounts (name, weight, webhook_secret) VALUES (%s, %s, %s)"
        f" ON CONFLICT (name) DO NOTHING RETURNING {_ACCOUNT_COLUMNS}",
        (name, weight, webhook_secret),
    )


def change_account(
    connection: Connection[Any], name: str, changes: Mapping[str, int | None]
) -> Mapping[str, Any] | None:
    """Change some of the columns in CHANGEABLE; None if there is no such account."""
    assert changes.keys() <= set(CHANGEABLE), "the caller has read them by these names"
    columns = [
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column))
        for column in changes
    ]
    statement = sql.SQL("UPDATE accounts SET {} WHERE name = {} RETURNING {}").format(
        sql.SQL(", ").join(columns), sql.Placeholder("_name"), sql.SQL(_ACCOUNT_COLUMNS)
    )
    return one_row(connection, statement, {**changes, "_name": name})


def list_accounts(connection: Connection[Any]) -> list[dict[str, Any]]:
    """All accounts, the oldest first."""
    return all_rows(connection, f"SELECT {_ACCOUNT_COLUMNS} FROM accounts ORDER BY id")


def account_named(connection: Connection[Any], name: str) -> Mapping[str, Any] | None:
    """An account by its name."""
    return one_row(connection, f"SELECT {_ACCOUNT_COLUMNS} FROM accounts WHERE name = %s", (name,))


def account_name(connection: Connection[Any], account_id: int) -> str:
    """An account's name by its id. Raises KeyError."""
    row = connection.execute("SELECT name FROM accounts WHERE id = %s", (account_id,)).fetchone()
    if row is None:
        raise KeyError(account_id)
    return str(row[0])


def limits_of(connection: Connection[Any], account_id: int) -> Limits:
    """An account's own limits. Raises KeyError."""
    row = one_row(connection, f"SELECT {_LIMITS} FROM accounts WHERE id = %s", (account_id,))
    if row is None:
        raise KeyError(account_id)
    return Limits.of(row)


def add_key(
    connection: Connection[Any],
    account_id: int,
    name: str,
    prefix: str,
    digest: bytes,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> dict[str, Any]:
    """Store a new key. Returns the row as lists show it."""
    row = one_row(
        connection,
        "WITH k AS (INSERT INTO api_keys (account_id, name, prefix, digest, scopes, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING *)"
        f" SELECT {_KEY_COLUMNS} FROM k JOIN accounts a ON a.id = k.account_id",
        (account_id, name, prefix, digest, list(scopes), expires_at),
    )
    assert row is not None, "an INSERT that did not fail returns its row"
    return row


def list_keys(connection: Connection[Any], account: str | None = None) -> list[dict[str, Any]]:
    """The keys, of one account or of all; the newest first, the revoked ones too."""
    return all_rows(
        connection,
        f"SELECT {_KEY_COLUMNS} FROM api_keys k JOIN accounts a ON a.id = k.account_id"
        " WHERE %(account)s::text IS NULL OR a.name = %(account)s ORDER BY k.id DESC LIMIT 1000",
        {"account": account},
    )


def revoke_key(connection: Connection[Any], key_id: int) -> dict[str, Any] | None:
    """Revoke a key, once. Returns the row as lists show it; None if there is no such key."""
    return one_row(
        connection,
        "WITH k AS (UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())"
        " WHERE id = %s RETURNING *)"
        f" SELECT {_KEY_COLUMNS} FROM k JOIN accounts a ON a.id = k.account_id",
        (key_id,),
    )


def key_by_id(connection: Connection[Any], key_id: int) -> dict[str, Any] | None:
    """A key as it is listed, its `account_id`, and whether it is `live`; None: there is none."""
    return one_row(
        connection,
        f"SELECT {_KEY_COLUMNS}, k.account_id, {_LIVE} AS live"
        " FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.id = %s",
        (key_id,),
    )


def rotate_key(
    connection: Connection[Any], key_id: int, prefix: str, digest: bytes, overlap_s: float
) -> dict[str, Any] | None:
    """Replace a valid key that was not rotated yet. Returns the new row as lists show it; None if
    there is no such key.

    The new key has the old one's account, name, scopes and lifetime. The old one ends in
    `overlap_s` seconds, or earlier if it was to end earlier. Of two calls at once, one succeeds.
    """
    return one_row(
        connection,
        """
        WITH old AS (
            SELECT * FROM api_keys
            WHERE id = %(id)s AND revoked_at IS NULL AND replaced_by IS NULL
                AND (expires_at IS NULL OR expires_at > clock_timestamp())
            FOR UPDATE
        ), k AS (
            INSERT INTO api_keys (account_id, name, prefix, digest, scopes, expires_at)
            SELECT account_id, name, %(prefix)s, %(digest)s, scopes,
                clock_timestamp() + (expires_at - created_at)
            FROM old
            RETURNING *
        ), ended AS (
            UPDATE api_keys o SET replaced_by = k.id, expires_at = least(
                o.expires_at, clock_timestamp() + make_interval(secs => %(overlap_s)s)
            )
            FROM k WHERE o.id = %(id)s
        )
        """
        f"SELECT {_KEY_COLUMNS} FROM k JOIN accounts a ON a.id = k.account_id",
        {"id": key_id, "prefix": prefix, "digest": digest, "overlap_s": overlap_s},
    )


def revoke_keys_named(connection: Connection[Any], account_id: int, name: str) -> int:
    """Revoke every valid key of that name. Returns how many."""
    return connection.execute(
        "UPDATE api_keys SET revoked_at = clock_timestamp()"
        " WHERE account_id = %s AND name = %s AND revoked_at IS NULL",
        (account_id, name),
    ).rowcount


def demote_key(connection: Connection[Any], key_id: int) -> dict[str, Any] | None:
    """Take the operator's role from a key, which keeps its account's admin scope. Returns the row
    as lists show it; None if there is no such key.
    """
    return one_row(
        connection,
        "WITH k AS (UPDATE api_keys SET scopes = array_remove(scopes, 'operator')"
        " WHERE id = %s RETURNING *)"
        f" SELECT {_KEY_COLUMNS} FROM k JOIN accounts a ON a.id = k.account_id",
        (key_id,),
    )


def operator_keys(connection: Connection[Any]) -> list[dict[str, Any]]:
    """The operators' keys that may be used now, the oldest first."""
    return all_rows(
        connection,
        f"SELECT {_KEY_COLUMNS} FROM api_keys k JOIN accounts a ON a.id = k.account_id"
        f" WHERE 'operator' = ANY(k.scopes) AND {_LIVE} ORDER BY k.id",
    )


def lock_operators(connection: Connection[Any]) -> None:
    """In a transaction: wait for others that make the first operator's key or revoke one."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (OPERATORS_LOCK,))


def has_other_operator(connection: Connection[Any], key_id: int) -> bool:
    """Whether there is another operator's key that is not about to end by rotation."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM api_keys k WHERE k.id <> %s AND k.replaced_by IS NULL"
        f" AND 'operator' = ANY(k.scopes) AND {_LIVE})",
        (key_id,),
    ).fetchone()
    return row is not None and bool(row[0])


def webhook_secret(connection: Connection[Any], account_id: int) -> dict[str, Any]:
    """The secret that signs the webhooks of an account's jobs. Raises KeyError."""
    row = one_row(
        connection,
        "SELECT webhook_secret AS secret, CASE WHEN old_webhook_secret_until > clock_timestamp()"
        " THEN old_webhook_secret_until END AS old_until FROM accounts WHERE id = %s",
        (account_id,),
    )
    if row is None:
        raise KeyError(account_id)
    return row


def rotate_webhook_secret(
    connection: Connection[Any], account_id: int, secret: str, overlap_s: float
) -> dict[str, Any]:
    """Sign with `secret` from now on, and with the previous one too for `overlap_s` seconds."""
    row = one_row(
        connection,
        "UPDATE accounts SET old_webhook_secret = webhook_secret, webhook_secret = %(secret)s,"
        " old_webhook_secret_until = clock_timestamp() + make_interval(secs => %(overlap_s)s)"
        " WHERE id = %(id)s"
        " RETURNING webhook_secret AS secret, old_webhook_secret_until AS old_until",
        {"secret": secret, "overlap_s": overlap_s, "id": account_id},
    )
    if row is None:
        raise KeyError(account_id)
    return row
