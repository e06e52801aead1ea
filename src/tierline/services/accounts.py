"""Making accounts and keys. A key is shown once, when it is made; what is kept is its SHA-256."""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from tierline.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.storage import accounts
from tierline.storage.accounts import Account, Key

PREFIX = "tl_"  # lets a leak scanner know a key when it sees one
SHOWN = 10  # characters of a key that stay visible in lists
SCOPES = ("submit", "read", "admin")  # admin includes the others
FIRST_ACCOUNT = "default"
MOST_WEIGHT = 100


def digest(key: str) -> bytes:
    """What a key is looked up by. A key has 256 random bits: there is nothing to stretch."""
    return hashlib.sha256(key.encode()).digest()


def new_webhook_secret() -> str:
    """A secret as Standard Webhooks writes them: whsec_ and 24 random bytes in base64."""
    return "whsec_" + b64encode(secrets.token_bytes(24)).decode()


def create_account(connection: Connection[Any], name: str, weight: int = 1) -> Account:
    """A new account. Raises Conflict when the name is taken, InvalidInput when it does not fit."""
    _check_weight(weight)
    if not name or len(name) > 100 or name != name.strip() or not name.isprintable():
        raise InvalidInput([Problem("1 to 100 printable characters", "/name")])
    made = accounts.create_account(connection, name, new_webhook_secret(), weight)
    if made is None:
        raise Conflict(f"there is an account {name!r} already")
    return made


def set_weight(connection: Connection[Any], name: str, weight: int) -> Account:
    """Change an account's share of the queues. Raises NotFound."""
    _check_weight(weight)
    changed = accounts.set_weight(connection, name, weight)
    if changed is None:
        raise NotFound(f"there is no account {name!r}")
    return changed


def create_key(
    connection: Connection[Any],
    account: str,
    scopes: Sequence[str],
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[str, Key]:
    """A new key of an account: the key itself, which is kept nowhere, and what may be shown."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        known = ", ".join(SCOPES)
        raise InvalidInput([Problem(f"one or more of {known}", "/scopes")])
    owner = accounts.account_by_name(connection, account)
    if owner is None:
        raise NotFound(f"there is no account {account!r}")
    key = PREFIX + secrets.token_urlsafe(32)
    made = accounts.create_key(
        connection, owner.id, name, key[:SHOWN], digest(key), scopes, expires_at
    )
    return key, made


def revoke_key(connection: Connection[Any], key_id: int) -> Key:
    """Revoke a key for good. Raises NotFound."""
    revoked = accounts.revoke_key(connection, key_id)
    if revoked is None:
        raise NotFound(f"there is no key {key_id}")
    return revoked


def ensure_first_admin(connection: Connection[Any]) -> str | None:
    """Make the first account and its admin key in a new database; the key, or None if not new."""
    with connection.transaction():
        made = accounts.create_account(connection, FIRST_ACCOUNT, new_webhook_secret())
        if made is None:
            return None
        key, _ = create_key(connection, FIRST_ACCOUNT, ["admin"], "first admin key")
        return key


def _check_weight(weight: int) -> None:
    if not 1 <= weight <= MOST_WEIGHT:
        raise InvalidInput([Problem(f"from 1 to {MOST_WEIGHT}", "/weight")])
