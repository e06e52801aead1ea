"""Which account and role a person's claims give, and what a refusal says."""

import pytest

from tierline.openid.access import Access, AccessRules, access_of, name_of, values_of
from tierline.openid.refusals import SignInRefused

RULES = AccessRules(
    "department",
    {"Shop": "shop", "Store": "shop", "Back office": "office"},
    "realm.groups",
    {"readers": "read", "clerks": "submit", "chiefs": "admin", "ops": "operator"},
)


def claims(department: object, *groups: object) -> dict[str, object]:
    return {"department": department, "realm": {"groups": list(groups)}}


@pytest.mark.parametrize(
    ("groups", "scopes"),
    [
        (("readers",), ("read",)),
        (("clerks", "unknown"), ("submit", "read")),
        (("readers", "chiefs"), ("read", "admin")),
        (("ops",), ("admin", "operator")),
    ],
)
def test_roles_add_up_to_scopes_as_a_key_has_them(
    groups: tuple[str, ...], scopes: tuple[str, ...]
) -> None:
    assert access_of(claims("Shop", *groups), RULES) == Access("shop", scopes)


@pytest.mark.parametrize(
    ("given", "reason", "text"),
    [
        ({"realm": {"groups": ["ops"]}}, "no_account_claim", "no claim 'department'"),
        (claims("shop", "ops"), "no_account", "'department' gives an account"),
        (claims(["Shop", "Back office"], "ops"), "several_accounts", "more than one account"),
        (claims(True, "ops"), "no_account", "'department'"),
        ({"department": "Shop"}, "no_role_claim", "no claim 'realm.groups'"),
        ({"department": "Shop", "realm": "ops"}, "no_role_claim", "no claim 'realm.groups'"),
        (claims("Shop"), "no_role", "'realm.groups' gives a role"),
        (claims("Shop", "OPS", 7, None), "no_role", "'realm.groups' gives a role"),
    ],
)
def test_without_a_claim_there_is_no_access_and_the_text_names_it(
    given: dict[str, object], reason: str, text: str
) -> None:
    with pytest.raises(SignInRefused) as refused:
        access_of(given, RULES)
    assert (refused.value.reason, refused.value.status) == (reason, 403)
    assert text in refused.value.text
    assert refused.value.claim in ("department", "realm.groups")
    assert "Shop" not in refused.value.text, "no value of a claim is repeated"


def test_values_of_one_account_are_one_account() -> None:
    assert access_of(claims(["Shop", "Store"], "readers"), RULES).account == "shop"


def test_a_claim_is_found_by_its_whole_name_before_its_path() -> None:
    assert values_of({"https://x.invalid/roles": "a"}, "https://x.invalid/roles") == {"a"}
    assert values_of({"a.b": "whole", "a": {"b": "path"}}, "a.b") == {"whole"}
    assert values_of({"a": {"b": ["path"]}}, "a.b") == {"path"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"name": "Kim", "email": "kim@example.invalid"}, "Kim"),
        ({"name": " \x00", "preferred_username": "kim"}, "kim"),
        ({"name": 7}, "without a name"),
        ({"name": "x" * 500}, "x" * 100),
    ],
)
def test_a_name_to_show(given: dict[str, object], name: str) -> None:
    assert name_of(given) == name
