"""Browsers at the console of a running API."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.api.browser import Browser, SignIn
from tests.support.api.served import Api
from tests.support.database.furnished import Furnished, furnish
from tierline.services.accounts.accounts import create_key

if TYPE_CHECKING:  # the tests without a real browser need not load what drives it
    from playwright.sync_api import Browser as Chromium

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", autouse=True)
def account(api: Api) -> str:
    """The account `default`, which `api` adds: each test may make keys of it."""
    return "default"


@pytest.fixture
def stranger(api_url: str) -> Iterator[Browser]:
    """A browser without a session."""
    browser = Browser(api_url)
    yield browser
    browser.close()


@pytest.fixture
def signed_in(api_url: str, rows: Connection) -> Iterator[SignIn]:
    """Makes browsers with a session of a new key of the account, with these scopes."""
    browsers = []

    def sign_in(*scopes: str, account: str = "default") -> Browser:
        browser = Browser(api_url)
        browsers.append(browser)
        answer = browser.sign_in(create_key(rows, account, scopes or ("submit", "read")).key)
        assert answer.status_code == 303, answer.text
        return browser

    yield sign_in
    for browser in browsers:
        browser.close()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Chromium]":
    """The system's Chromium."""
    from tests.support.api.chromium import chromium

    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def furnished(api: Api, rows: Connection) -> Furnished:
    """An installation that was used for two weeks."""
    return furnish(api, rows)


@pytest.fixture(scope="module")
def key(rows: Connection, furnished: Furnished) -> str:
    """An operator's key."""
    return create_key(rows, "default", ("operator",), "Kim").key
