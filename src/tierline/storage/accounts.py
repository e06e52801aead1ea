"""Accounts and their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Account:
    """Who owns keys, jobs and budgets."""

    id: int
    name: str
    weight: int
    created_at: datetime


@dataclass(frozen=True)
class Key:
    """A key as it may be shown: never the key itself."""

    id: int
    account: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_KEY = """
SELECT k.id, a.name AS account, k.name, k.prefix, k.scopes, k.created_at, k.expires_at,
    k.revoked_at, k.last_used_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
"""

# What the API asks at each request, by digest: an index look-up of a hash, with nothing to time.
AUTHENTICATE = """
SELECT k.id, k.account_id, k.scopes,
    k.revoked_at IS NOT NULL AS revoked,
    coalesce(k.expires_at <= statement_timestamp(), false) AS expired
FROM api_keys k WHERE k.digest = %s
"""
TOUCH = """
UPDATE api_keys SET last_used_at = clock_timestamp()
WHERE id = ANY(%s)
    AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
"""


def create_account(
    connection: Connection[Any], name: str, webhook_secret: str, weight: int = 1
) -> Account | None:
    """A new account; None when the name is taken."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(
            "INSERT INTO accounts (name, webhook_secret, weight) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO NOTHING RETURNING id, name, weight, created_at",
            (name, webhook_secret, weight),
        ).fetchone()


def account_by_name(connection: Connection[Any], name: str) -> Account | None:
    """The account of that name."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(
            "SELECT id, name, weight, created_at FROM accounts WHERE name = %s", (name,)
        ).fetchone()


def list_accounts(connection: Connection[Any]) -> list[Account]:
    """All of them, by name."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(
            "SELECT id, name, weight, created_at FROM accounts ORDER BY name"
        ).fetchall()


def set_weight(connection: Connection[Any], name: str, weight: int) -> Account | None:
    """Change an account's share; None when there is no such account."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(
            "UPDATE accounts SET weight = %s WHERE name = %s"
            " RETURNING id, name, weight, created_at",
            (weight, name),
        ).fetchone()


def create_key(
    connection: Connection[Any],
    account_id: int,
    name: str,
    prefix: str,
    digest: bytes,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> Key:
    """Keep a key's digest."""
    row = connection.execute(
        "INSERT INTO api_keys (account_id, name, prefix, digest, scopes, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (account_id, name, prefix, digest, list(scopes), expires_at),
    ).fetchone()
    assert row is not None
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        key = cursor.execute(_KEY + " WHERE k.id = %s", row).fetchone()
        assert key is not None
        return key


def list_keys(connection: Connection[Any], account: str | None = None) -> list[Key]:
    """Every key, or one account's, newest first."""
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(
            _KEY + " WHERE %(account)s::text IS NULL OR a.name = %(account)s ORDER BY k.id DESC",
            {"account": account},
        ).fetchall()


def revoke_key(connection: Connection[Any], key_id: int) -> Key | None:
    """Revoke for good; None when there is no such key."""
    with connection.cursor(row_factory=class_row(Key)) as cursor:
        connection.execute(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())"
            " WHERE id = %s",
            (key_id,),
        )
        return cursor.execute(_KEY + " WHERE k.id = %s", (key_id,)).fetchone()


def webhook_secret(connection: Connection[Any], account_id: int) -> str:
    """What signs the webhooks that the account's jobs name themselves."""
    row = connection.execute(
        "SELECT webhook_secret FROM accounts WHERE id = %s", (account_id,)
    ).fetchone()
    assert row is not None
    return str(row[0])


def rotate_webhook_secret(
    connection: Connection[Any], account_id: int, secret: str, overlap_s: float
) -> None:
    """A new secret; the old one signs beside it for `overlap_s` seconds."""
    connection.execute(
        "UPDATE accounts SET old_webhook_secret = webhook_secret, webhook_secret = %s,"
        " old_webhook_secret_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        (secret, overlap_s, account_id),
    )
