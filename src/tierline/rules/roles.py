"""Who may do what: the scopes of a key, and what each of them includes.

Two roles look after things. An account's administrator (`admin`) looks after that account: its
keys, its webhook secret, its labels. The installation's operator (`operator`) looks after what all
accounts share: accounts, features, prices, plans, everybody's keys.
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
"""All that a key with the scope may do. An operator is an administrator of its own account only."""

NEEDED: dict[str, str] = {
    SUBMIT: "a key that may submit (scope 'submit')",
    READ: "a key that may read (scope 'read')",
    ADMIN: "a key of the account's administrator (scope 'admin')",
    OPERATOR: "a key of the installation's operator (scope 'operator')",
}
"""What to tell a caller whose key lacks a scope."""


@lru_cache(maxsize=256)
def reach(scopes: frozenset[str]) -> frozenset[str]:
    """Every scope that `scopes` include. One that this release does not know includes itself."""
    return frozenset().union(*(INCLUDES.get(scope, frozenset({scope})) for scope in scopes))


def as_kept(scopes: Collection[str]) -> list[str]:
    """The scopes as a key's row holds them.

    An operator's row names `admin` too: a process of a release before 0.1.1, which may run beside
    this one during an upgrade, knows only that word for it.
    """
    held = {*scopes, ADMIN} if OPERATOR in scopes else set(scopes)
    return [scope for scope in SCOPES if scope in held]
