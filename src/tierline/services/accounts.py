"""Accounts and API keys: making, listing and ending them, and the keys that a start makes.

A key is shown once, when it is made; only its digest is kept. What scripts call at a start takes a
database URL and opens a connection of its own.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection

from tierline.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.limits import LIMITS
from tierline.storage import accounts
from tierline.storage.engine import connect_args, psycopg_url
from tierline.webhooks.sign import new_secret

KEY_MARK = "tl_"  # so that a key is recognised where it should not be
SHOWN = len(KEY_MARK) + 6  # of a key's characters, to recognise it by
SCOPES = ("submit", "read", "admin")  # admin may do what the others may
DEFAULT_ACCOUNT = "default"
FIRST_KEY_NAME = "first admin key"
MAX_WEIGHT = 1000
MAX_LIMIT = 2**31 - 1
MAX_OVERLAP_HOURS = 168.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}")


@dataclass(frozen=True)
class MadeKey:
    """A new key; `key` is never to be had again."""

    key: str
    row: dict[str, Any]


def digest_of(key: str) -> bytes:
    """What is kept of a key. It has 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(key.encode()).digest()


def create_account(
    connection: Connection[Any],
    name: str,
    weight: int = 1,
    limits: Mapping[str, int | None] | None = None,
) -> dict[str, Any]:
    """A new account. Raises InvalidInput for what does not fit, Conflict for a taken name.

    `limits` are by their names in `tierline.limits`; those that are not named are the settings'.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            [
                Problem(
                    "1 to 63 letters, digits, spaces or . _ @ -, beginning with the first", "/name"
                )
            ]
        )
    _refuse_unfit({"weight": weight, **(limits or {})})
    with connection.transaction():
        row = accounts.add_account(connection, name, weight, new_secret())
        if row is None:
            raise Conflict(f"there is an account {name!r} already")
        if limits:
            row = accounts.change_account(connection, name, limits)
            assert row is not None, "it was just made"
    return dict(row)


def change_account(
    connection: Connection[Any], name: str, changes: Mapping[str, int | None]
) -> dict[str, Any]:
    """Change an account's weight or limits; null makes a limit the settings' again.

    Raises NotFound, InvalidInput.
    """
    _refuse_unfit(changes)
    row = accounts.change_account(connection, name, changes)
    if row is None:
        raise NotFound(f"there is no account {name!r}")
    return dict(row)


def create_key(
    connection: Connection[Any],
    account: str,
    scopes: Sequence[str] = ("submit", "read"),
    name: str = "",
    expires_at: datetime | None = None,
) -> MadeKey:
    """A new key of an account, in clear this once. Raises NotFound, InvalidInput."""
    problems = [
        Problem(f"there is no scope {scope!r}: choose from {', '.join(SCOPES)}", f"/scopes/{index}")
        for index, scope in enumerate(scopes)
        if scope not in SCOPES
    ]
    if not scopes:
        problems.append(Problem(f"name at least one of {', '.join(SCOPES)}", "/scopes"))
    if expires_at is not None and expires_at <= datetime.now(UTC):
        problems.append(Problem("is in the past", "/expires_at"))
    if problems:
        raise InvalidInput(problems)
    owner = accounts.account_named(connection, account)
    if owner is None:
        raise NotFound(f"there is no account {account!r}")
    key = _new_key()
    row = accounts.add_key(
        connection,
        owner["id"],
        name,
        key[:SHOWN],
        digest_of(key),
        [scope for scope in SCOPES if scope in scopes],
        expires_at,
    )
    return MadeKey(key, row)


def revoke_key(connection: Connection[Any], key_id: int) -> dict[str, Any]:
    """End a key; doing it twice changes nothing. Raises NotFound."""
    row = accounts.revoke_key(connection, key_id)
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    return row


def rotate_key(connection: Connection[Any], key_id: int, overlap_hours: float) -> MadeKey:
    """A new key in the place of another, which goes on for the overlap so that callers can follow.

    Raises InvalidInput for an unfit overlap, NotFound, and Conflict for a key that has ended or was
    rotated before.
    """
    _refuse_overlap(overlap_hours)
    key = _new_key()
    row = accounts.rotate_key(
        connection, key_id, key[:SHOWN], digest_of(key), overlap_hours * 3600.0
    )
    if row is not None:
        return MadeKey(key, row)
    old = accounts.key_by_id(connection, key_id)
    if old is None:
        raise NotFound(f"there is no key {key_id}")
    if old["replaced_by"] is not None:
        raise Conflict(f"key {key_id} was rotated already: rotate key {old['replaced_by']}")
    raise Conflict(f"key {key_id} has ended: create another")


def rotate_webhook_secret(
    connection: Connection[Any], account_id: int, overlap_hours: float
) -> dict[str, Any]:
    """A new signing secret; the one before signs as well for the overlap. Raises InvalidInput."""
    _refuse_overlap(overlap_hours)
    return accounts.rotate_webhook_secret(
        connection, account_id, new_secret(), overlap_hours * 3600.0
    )


def ensure_first_admin(database_url: str) -> str | None:
    """The first admin key, of the account `default`, in clear; None when there is one already.

    Safe from several places at once: one of them gets it.
    """
    with _connect(database_url) as connection, connection.transaction():
        if not accounts.lock_first_key(connection):
            return None
        _ensure_default(connection)
        return create_key(connection, DEFAULT_ACCOUNT, ("admin",), FIRST_KEY_NAME).key


def make_run_key(database_url: str, name: str) -> str:
    """An admin key for one run of `tierline up`, in clear; earlier ones of that name are ended."""
    with _connect(database_url) as connection, connection.transaction():
        accounts.revoke_keys_named(connection, _ensure_default(connection), name)
        return create_key(connection, DEFAULT_ACCOUNT, ("admin",), name).key


def revoke_run_key(database_url: str, name: str) -> None:
    """End the keys of that name that runs of `tierline up` made."""
    with _connect(database_url) as connection:
        owner = accounts.account_named(connection, DEFAULT_ACCOUNT)
        if owner is not None:
            accounts.revoke_keys_named(connection, owner["id"], name)


def _ensure_default(connection: Connection[Any]) -> int:
    accounts.add_account(connection, DEFAULT_ACCOUNT, 1, new_secret())
    owner = accounts.account_named(connection, DEFAULT_ACCOUNT)
    assert owner is not None, "it was just made"
    return int(owner["id"])


def _connect(database_url: str) -> Connection[Any]:
    parameters: dict[str, Any] = {**connect_args("keys"), "autocommit": True}
    return psycopg.connect(psycopg_url(database_url), **parameters)


def _new_key() -> str:
    return KEY_MARK + secrets.token_urlsafe(32)


def _refuse_overlap(hours: float) -> None:
    if not 0 <= hours <= MAX_OVERLAP_HOURS:
        raise InvalidInput([Problem(f"from 0 to {MAX_OVERLAP_HOURS:g}", "/overlap_hours")])


def _refuse_unfit(changes: Mapping[str, int | None]) -> None:
    """Raises InvalidInput with every weight or limit that is unknown or out of its range."""
    problems = []
    if not changes:
        problems.append(Problem(f"name what to change: {', '.join(accounts.CHANGEABLE)}"))
    for name, value in changes.items():
        if name not in accounts.CHANGEABLE:
            problems.append(Problem("is not a field of this", f"/{name}"))
        elif value is None:
            if name not in LIMITS:
                problems.append(Problem("must be a whole number", f"/{name}"))
        else:
            most = MAX_LIMIT if name in LIMITS else MAX_WEIGHT
            if not 1 <= value <= most:
                problems.append(Problem(f"from 1 to {most:,}", f"/{name}"))
    if problems:
        raise InvalidInput(problems)
