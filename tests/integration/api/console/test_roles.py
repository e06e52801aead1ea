"""Which keys may open which page of the console, and send which form."""

import re
from typing import Any

import psycopg
import pytest

from api.app import CONSOLE_ROUTES
from tests.support.api.browser import SignIn
from tests.support.api.console_roles import ADMIN, FORMS, OPERATOR, PAGES, READ, SUBMIT

Connection = psycopg.Connection[Any]
ROUTES = [route for module in CONSOLE_ROUTES for route in module.router.routes]
ID = "01a1f2b0-0000-7000-8000-000000000000"
WEAKER = {SUBMIT: READ, ADMIN: SUBMIT, OPERATOR: ADMIN}
"""The strongest key that is not enough."""


def test_each_form_has_its_row() -> None:
    forms = {route.path for route in ROUTES if "POST" in route.methods}
    assert forms - {"/console/sign-in"} == FORMS.keys()


def test_a_form_is_refused_to_a_key_that_lacks_its_scope(
    signed_in: SignIn, rows: Connection
) -> None:
    browsers = {scopes: signed_in(*scopes) for scopes in WEAKER.values()}
    tokens = {scopes: browser.token() for scopes, browser in browsers.items()}
    before = rows.execute("SELECT count(*) FROM audit_log").fetchone()
    for path, scopes in FORMS.items():
        weaker = WEAKER.get(scopes)
        if weaker is not None:
            place = re.sub(r"\{[a-z]+_id\}", ID, path.replace("{name}", "echo"))
            answer = browsers[weaker].post(place, token=tokens[weaker])
            assert answer.status_code == 403, path
            assert "needs" in answer.text, path
    assert rows.execute("SELECT count(*) FROM audit_log").fetchone() == before


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_refused_to_a_key_that_lacks_its_scope(signed_in: SignIn, path: str) -> None:
    assert signed_in(*WEAKER[PAGES[path]]).get(path).status_code == 403
    assert signed_in(*PAGES[path]).get(path).status_code == 200


@pytest.mark.parametrize("scopes", [READ, SUBMIT, ADMIN, OPERATOR], ids=str)
def test_the_navigation_has_only_pages_that_the_key_may_open(
    signed_in: SignIn, scopes: tuple[str, ...]
) -> None:
    browser = signed_in(*scopes)
    (nav,) = re.findall(r"<nav.*?</nav>", browser.get("/console").text, re.DOTALL)
    links = re.findall(r'href="([^"]+)"', nav)
    assert "/console/jobs" in links
    for link in links:
        page = browser.get(link)
        assert page.status_code == 200, link
        assert page.text.count('aria-current="page"') == 1, link
