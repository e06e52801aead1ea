"""The scopes of a key, and what each of them allows.

An account's administrator (`admin`) manages that account: its keys, its webhook secret, its labels.
The installation's operator (`operator`) manages what all accounts share: accounts, features,
prices, plans, everybody's keys.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Literal

Scope = Literal["submit", "read", "admin", "operator"]

SUBMIT: Scope = "submit"
READ: Scope = "read"
ADMIN: Scope = "admin"
OPERATOR: Scope = "operator"
SCOPES: tuple[Scope, ...] = (SUBMIT, READ, ADMIN, OPERATOR)

INCLUDES: dict[str, frozenset[str]] = {
    SUBMIT: frozenset({SUBMIT}),
    READ: frozenset({READ}),
    ADMIN: frozenset({SUBMIT, READ, ADMIN}),
    OPERATOR: frozenset(SCOPES),
}
"""All scopes that a key with this scope has. An operator administers its own account only."""

NEEDED: dict[str, str] = {
    SUBMIT: "a key that may submit (scope 'submit')",
    READ: "a key that may read (scope 'read')",
    ADMIN: "a key of the account's administrator (scope 'admin')",
    OPERATOR: "a key of the installation's operator (scope 'operator')",
}
"""The text for a caller whose key lacks a scope."""


@lru_cache(maxsize=256)
def reach(scopes: frozenset[str]) -> frozenset[str]:
    """Every scope that `scopes` include. A scope unknown to this release includes itself."""
    return frozenset().union(*(INCLUDES.get(scope, frozenset({scope})) for scope in scopes))


def stored_scopes(scopes: Collection[str]) -> list[str]:
    """The scopes as stored in a key's row.

    An operator's row names `admin` too, because a process of a release before 0.1.1, which may run
    beside this one during an upgrade, knows only `admin`.
    """
    held = {*scopes, ADMIN} if OPERATOR in scopes else set(scopes)
    return [scope for scope in SCOPES if scope in held]
