"""Which account and which scopes a person's claims give. Without a claim there is no access."""

from collections.abc import Mapping
from dataclasses import dataclass

from tierline.base.json_text import JSON
from tierline.openid.refusals import FORBIDDEN, SignInRefused
from tierline.rules.roles import ADMIN, OPERATOR, READ, SUBMIT, Scope, stored_scopes

ROLES: Mapping[str, tuple[Scope, ...]] = {
    READ: (READ,),
    SUBMIT: (SUBMIT, READ),
    ADMIN: (ADMIN,),
    OPERATOR: (OPERATOR,),
}
"""The roles that a claim may give, and their scopes. Every one may read: the console needs it."""

MOST_NAME = 100  # characters of a person's name
NAME_CLAIMS = ("name", "preferred_username", "email")


@dataclass(frozen=True)
class AccessRules:
    """What the settings say: the values of a claim that give an account, and those of a role."""

    account_claim: str
    accounts: Mapping[str, str]  # a value of the claim → the account's name
    role_claim: str
    roles: Mapping[str, str]  # a value of the claim → a name of ROLES


@dataclass(frozen=True)
class Access:
    """The account's name, and the scopes as a key's row has them."""

    account: str
    scopes: tuple[str, ...]


def access_of(claims: Mapping[str, JSON], rules: AccessRules) -> Access:
    """What these claims give. Raises SignInRefused (403), which says what is missing.

    Several roles add up. Values of several accounts are refused: which one would be a guess.
    """
    accounts = _mapped(claims, rules.account_claim, rules.accounts, "an account")
    if len(accounts) > 1:
        raise _denied(
            "several_accounts",
            f"Your claim '{rules.account_claim}' has values of more than one account. Ask the"
            " administrator of your identity provider for one.",
            rules.account_claim,
        )
    roles = _mapped(claims, rules.role_claim, rules.roles, "a role")
    scopes = stored_scopes([scope for role in roles for scope in ROLES[role]])
    return Access(next(iter(accounts)), tuple(scopes))


def name_of(claims: Mapping[str, JSON]) -> str:
    """The person's name to show, or a text that says that the claims have none."""
    for claim in NAME_CLAIMS:
        value = claims.get(claim)
        if isinstance(value, str):
            name = value.replace("\x00", "").strip()[:MOST_NAME]
            if name:
                return name
    return "without a name"


def values_of(claims: Mapping[str, JSON], claim: str) -> frozenset[str] | None:
    """The texts of a claim: a text, or the texts of a list. None: there is no such claim.

    A claim is found by its whole name, or else by a path with dots, such as `realm_access.roles`.
    """
    value: JSON = claims.get(claim)
    if value is None:
        value = dict(claims)
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, str))


def _mapped(
    claims: Mapping[str, JSON], claim: str, mapping: Mapping[str, str], what: str
) -> frozenset[str]:
    values = values_of(claims, claim)
    kind = what.partition(" ")[2]
    if values is None:
        raise _denied(
            f"no_{kind}_claim",
            f"Your ID token has no claim '{claim}', which gives {what} here. Ask the administrator"
            " of your identity provider to send it.",
            claim,
        )
    mapped = frozenset(mapping[value] for value in values if value in mapping)
    if not mapped:
        raise _denied(
            f"no_{kind}",
            f"No value of your claim '{claim}' gives {what} here. Ask an operator of this"
            " installation for access.",
            claim,
        )
    return mapped


def _denied(reason: str, text: str, claim: str) -> SignInRefused:
    return SignInRefused(reason, text, FORBIDDEN, claim)
