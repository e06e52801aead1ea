"""Reading accounts and keys, for their administrators."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.storage.accounts import accounts


def list_accounts(connection: Connection[Any]) -> list[dict[str, Any]]:
    """Every account, the oldest first."""
    return accounts.list_accounts(connection)


def account_id_of(connection: Connection[Any], name: str) -> int:
    """The account of that name. Raises NotFound."""
    row = None if "\x00" in name else accounts.account_named(connection, name)
    if row is None:
        raise NotFound(f"there is no account {name[:80]!r}")
    return int(row["id"])


def list_keys(connection: Connection[Any], account: str | None = None) -> list[dict[str, Any]]:
    """Every key, newest first, revoked keys included; with `account` only that account's keys."""
    return accounts.list_keys(connection, account)


def webhook_secret(connection: Connection[Any], account_id: int) -> dict[str, Any]:
    """The signing secret for webhooks to jobs' own `webhook_url`, and until when a former secret
    signs too."""
    return accounts.webhook_secret(connection, account_id)
