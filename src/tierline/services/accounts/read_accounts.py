"""Reading accounts and keys as their administrators are shown them."""

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
    """Every key, the newest first and the revoked ones too; with `account` only its."""
    return accounts.list_keys(connection, account)


def webhook_secret(connection: Connection[Any], account_id: int) -> dict[str, Any]:
    """What signs the webhooks of jobs' own `webhook_url`: the secret, and until when an old one
    signs too."""
    return accounts.webhook_secret(connection, account_id)
