"""An API on a real Postgres, with one account, its keys and the feature `echo`."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.api.served import Api, serving
from tests.support.database.rows import add_feature, two_tiers
from tierline.services.accounts.accounts import create_account, create_key, make_run_key

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def rows(database_url: str) -> Iterator[Connection]:
    """A connection of the test's own, to look and to play the worker."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def api_url(environment: None, rows: Connection) -> Iterator[str]:
    """The address of a running API whose database knows `echo`."""
    add_feature(rows, two_tiers("echo"))
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def api(api_url: str, database_url: str) -> Iterator[Api]:
    """A client with an admin key of the account `default`."""
    client = Api(api_url, make_run_key(database_url, "tests"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def other(api: Api, rows: Connection) -> Iterator[Api]:
    """A client of another account."""
    create_account(rows, "other")
    client = api.as_(create_key(rows, "other", ("submit", "read")).key)
    yield client
    client.close()
