"""What each scope includes, and how a key's row names it."""

import pytest

from tierline.rules.roles import INCLUDES, NEEDED, SCOPES, reach, stored_scopes


@pytest.mark.parametrize(
    ("scopes", "reached"),
    [
        (["submit"], {"submit"}),
        (["read"], {"read"}),
        (["submit", "read"], {"submit", "read"}),
        (["admin"], {"submit", "read", "admin"}),
        (["operator"], {"submit", "read", "admin", "operator"}),
        ([], set()),
        (["of a later release"], {"of a later release"}),
    ],
)
def test_an_administrator_is_no_operator(scopes: list[str], reached: set[str]) -> None:
    assert reach(frozenset(scopes)) == reached


def test_every_scope_says_what_it_includes_and_how_it_is_asked_for() -> None:
    assert set(INCLUDES) == set(NEEDED) == set(SCOPES)
    for scope in SCOPES:
        assert scope in INCLUDES[scope]
        assert f"'{scope}'" in NEEDED[scope]


def test_an_operators_row_names_admin_for_the_release_before() -> None:
    assert stored_scopes(["operator"]) == ["admin", "operator"]
    assert stored_scopes(["read", "submit"]) == ["submit", "read"]
    assert stored_scopes(["admin", "admin"]) == ["admin"]
