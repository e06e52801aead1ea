"""How far a caller's key reaches."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.access.auth import needs, readable
from api.access.keys import Caller
from api.state import State
from tierline.base.settings import Settings
from tierline.rules.limits import Limits


def caller(*scopes: str) -> Caller:
    limits = Limits(1, 1, 1, 1)
    return Caller(7, "acme", 1, frozenset(scopes), limits, capped=False)


def state(**settings: Any) -> State:
    return cast(State, SimpleNamespace(settings=Settings(**settings)))


def test_only_an_operator_has_a_say_beyond_its_account() -> None:
    assert caller("admin").confined_to == 7
    assert caller("admin", "operator").confined_to is None


@pytest.mark.parametrize("name", ["TIERLINE_OPERATORS_READ_ALL", "TIERLINE_ADMINS_READ_ALL"])
def test_only_an_operator_reads_other_accounts_content_and_only_where_that_is_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("TIERLINE_OPERATORS_READ_ALL", raising=False)
    monkeypatch.delenv("TIERLINE_ADMINS_READ_ALL", raising=False)
    assert readable(state(), caller("operator")) == 7
    monkeypatch.setenv(name, "true")
    assert readable(state(), caller("operator")) is None
    assert readable(state(), caller("admin")) == 7
    assert readable(state(), caller("submit", "read")) == 7


def test_a_refusal_says_which_role_is_needed_and_what_the_key_has() -> None:
    detail = needs(caller("read", "submit"), "operator").detail
    assert detail == (
        "this needs a key of the installation's operator (scope 'operator');"
        " this key has: read, submit"
    )
