"""Accounts and API keys: creating, listing and ending them, and the keys created at startup.

`within` is the account that the caller is limited to; None: the caller is an operator. For an
account's administrator, keys of other accounts do not exist. A key is shown once, when it is
created; only its digest is stored. Functions for startup scripts take a database URL and open a
connection of their own.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from tierline.rules.limits import LIMITS
from tierline.rules.roles import OPERATOR, SCOPES, stored_scopes
from tierline.storage.accounts import accounts
from tierline.storage.db.engine import connect
from tierline.webhooks.sign import new_secret

KEY_MARK = "tl_"  # so that a leaked key is recognised
SHOWN = len(KEY_MARK) + 6  # characters of a key that are stored to recognise it
DEFAULT_ACCOUNT = "default"
FIRST_KEY_NAME = "first admin key"
OPERATORS_REVISION = "0027"  # the migration that tells operators from administrators
MAX_WEIGHT = 1000
MAX_LIMIT = 2**31 - 1
MAX_OVERLAP_HOURS = 168.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}")


@dataclass(frozen=True)
class MadeKey:
    """A new key. `key` cannot be read again."""

    key: str
    row: dict[str, Any]


def digest_of(key: str) -> bytes:
    """The stored digest of a key. A key has 256 random bits, so a plain hash is safe."""
    return hashlib.sha256(key.encode()).digest()


def create_account(
    connection: Connection[Any],
    name: str,
    weight: int = 1,
    limits: Mapping[str, int | None] | None = None,
) -> dict[str, Any]:
    """Create an account. Raises InvalidInput for invalid values, Conflict for a name in use.

    `limits` has the names of `rules.limits`. The settings' limits apply where a name is missing.
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
            assert row is not None, "it was just created"
    return dict(row)


def change_account(
    connection: Connection[Any], name: str, changes: Mapping[str, int | None]
) -> dict[str, Any]:
    """Change an account's weight or limits. None sets a limit back to the settings'.

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
    *,
    within: int | None = None,
) -> MadeKey:
    """Create a key of an account. Only this result contains the key in clear.

    Raises InvalidInput; NotFound; and Forbidden if an account's administrator asks for an
    operator's key or a key of another account, whether or not that account exists.
    """
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
    if within is not None:
        if owner is None or owner["id"] != within:
            raise Forbidden("only an operator may make a key of another account")
        if OPERATOR in scopes:
            raise Forbidden("only an operator may make an operator's key")
    if owner is None:
        raise NotFound(f"there is no account {account!r}")
    key = _new_key()
    row = accounts.add_key(
        connection,
        owner["id"],
        name,
        key[:SHOWN],
        digest_of(key),
        stored_scopes(scopes),
        expires_at,
    )
    return MadeKey(key, row)


def revoke_key(
    connection: Connection[Any], key_id: int, *, within: int | None = None, force: bool = False
) -> dict[str, Any]:
    """Revoke a key. A repeat changes nothing.

    Raises NotFound; Forbidden if an administrator revokes an operator's key; and Conflict for the
    last operator's key, unless `force`.
    """
    with connection.transaction():
        accounts.lock_operators(connection)
        key = _changeable(connection, key_id, within)
        if not force:
            _keep_an_operator(connection, key)
        row = accounts.revoke_key(connection, key_id)
        assert row is not None, "no key's row is ever removed"
        return row


def demote_key(connection: Connection[Any], key_id: int, *, force: bool = False) -> dict[str, Any]:
    """Turn an operator's key into an administrator's key. Other keys do not change.

    Raises NotFound, and Conflict for the last operator's key, unless `force`.
    """
    with connection.transaction():
        accounts.lock_operators(connection)
        key = _changeable(connection, key_id, None)
        if not force:
            _keep_an_operator(connection, key)
        row = accounts.demote_key(connection, key_id)
        assert row is not None, "no key's row is ever removed"
        return row


def _changeable(connection: Connection[Any], key_id: int, within: int | None) -> dict[str, Any]:
    """The key, if the caller may change it. Raises NotFound, Forbidden."""
    key = accounts.key_by_id(connection, key_id)
    if key is None or within not in (None, key["account_id"]):
        raise NotFound(f"there is no key {key_id}")
    if within is not None and OPERATOR in key["scopes"]:
        raise Forbidden(f"key {key_id} is an operator's: only an operator may change it")
    return key


def _keep_an_operator(connection: Connection[Any], key: Mapping[str, Any]) -> None:
    """Raises Conflict if the installation would have no operator's key that does not expire."""
    if OPERATOR not in key["scopes"] or not key["live"] or key["replaced_by"] is not None:
        return
    if not accounts.has_other_operator(connection, key["id"]):
        raise Conflict(
            f"key {key['id']} is the last operator's key: create another one first, or use force;"
            " after that, 'tierline db upgrade' creates a new one"
        )


def rotate_key(
    connection: Connection[Any], key_id: int, overlap_hours: float, *, within: int | None = None
) -> MadeKey:
    """Create a key that replaces another. The old key works until the overlap ends.

    Raises InvalidInput for an invalid overlap, NotFound, Forbidden if an administrator rotates an
    operator's key, and Conflict for a key that has ended or was rotated before.
    """
    _refuse_overlap(overlap_hours)
    _changeable(connection, key_id, within)
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
    """Create a signing secret. The old one signs too for the overlap. Raises InvalidInput."""
    _refuse_overlap(overlap_hours)
    return accounts.rotate_webhook_secret(
        connection, account_id, new_secret(), overlap_hours * 3600.0
    )


def ensure_first_admin(database_url: str) -> str | None:
    """Create the first admin key, an operator's of the account `default`, and return it in clear.
    None if an operator's key exists already.

    This also restores access to an installation whose operators' keys have all ended. Safe to call
    from several processes at once: one of them gets the key.
    """
    with _connect(database_url) as connection, connection.transaction():
        accounts.lock_operators(connection)
        if accounts.operator_keys(connection):
            return None
        _ensure_default(connection)
        return create_key(connection, DEFAULT_ACCOUNT, (OPERATOR,), FIRST_KEY_NAME).key


def make_run_key(database_url: str, name: str) -> str:
    """Create an operator's key for one `tierline up`. Earlier keys of that name are revoked."""
    with _connect(database_url) as connection, connection.transaction():
        accounts.revoke_keys_named(connection, _ensure_default(connection), name)
        return create_key(connection, DEFAULT_ACCOUNT, (OPERATOR,), name).key


def became_operators(database_url: str, before: str | None) -> list[dict[str, Any]]:
    """The admin keys that an upgrade from revision `before` turned into operators' keys. Call it
    right after the upgrade, before a key is created.
    """
    if before is None or before >= OPERATORS_REVISION:  # they are numbers of four digits
        return []
    with _connect(database_url) as connection:
        return accounts.operator_keys(connection)


def operator_key_notes(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines to show to a person about keys that an upgrade made operators' keys."""
    if not keys:
        return []
    return [
        "these admin keys are operators' keys now: each may change accounts, features, prices and"
        " every account's keys",
        *(f"  key {key['id']} of account {key['account']}: {key['name'] or '-'}" for key in keys),
        "to limit a key to its own account: tierline keys demote ID",
    ]


def revoke_run_key(database_url: str, name: str) -> None:
    """Revoke the keys of that name that `tierline up` created."""
    with _connect(database_url) as connection:
        owner = accounts.account_named(connection, DEFAULT_ACCOUNT)
        if owner is not None:
            accounts.revoke_keys_named(connection, owner["id"], name)


def _ensure_default(connection: Connection[Any]) -> int:
    accounts.add_account(connection, DEFAULT_ACCOUNT, 1, new_secret())
    owner = accounts.account_named(connection, DEFAULT_ACCOUNT)
    assert owner is not None, "it was just created"
    return int(owner["id"])


def _connect(database_url: str) -> Connection[Any]:
    return connect(database_url, "keys")


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
            problems.append(Problem("is not a known field", f"/{name}"))
        elif value is None:
            if name not in LIMITS:
                problems.append(Problem("must be a whole number", f"/{name}"))
        else:
            most = MAX_LIMIT if name in LIMITS else MAX_WEIGHT
            if not 1 <= value <= most:
                problems.append(Problem(f"from 1 to {most:,}", f"/{name}"))
    if problems:
        raise InvalidInput(problems)
