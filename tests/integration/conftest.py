"""A real PostgreSQL and a real Valkey, started once a session under a temporary folder.

Each test module gets a database of its own, copied from a migrated template, and an emptied
numbered database of the broker.
"""

import itertools
from collections.abc import Iterator

import psycopg
import pytest
import redis
from psycopg import sql

from tests.support.database.past import divide
from tests.support.processes.broker import with_db
from tests.support.processes.prepared_home import MakeHome
from tierline.base.settings import settings
from tierline.stack.embedded import postgres, valkey
from tierline.stack.embedded.servers import Servers, running_servers

TEMPLATE, PAST_TEMPLATE = "migrated", "past"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome) -> Iterator[Servers]:
    """The embedded servers; `stack.postgres` and `stack.valkey` are the children themselves."""
    with running_servers(make_home(tmp_path_factory.mktemp("stack") / "home")) as servers:
        _without_waiting_for_the_disk(servers)
        yield servers


@pytest.fixture(scope="session")
def migrated_template(stack: Servers) -> str:
    """A database with every migration applied and nothing in it, to be copied.

    It is a copy of the home's own, because nobody may be connected to a database that is copied.
    """
    _copy(stack, postgres.DATABASE, TEMPLATE)
    return TEMPLATE


@pytest.fixture(scope="module")
def database_url(stack: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database for this test module."""
    yield from _database(stack, migrated_template)


@pytest.fixture
def fresh_database_url(stack: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database for this one test."""
    yield from _database(stack, migrated_template)


@pytest.fixture(scope="session")
def past_template(stack: Servers, migrated_template: str) -> str:
    """The same with a partition for each of the last weeks, which take 0.6 s to make."""
    _copy(stack, migrated_template, PAST_TEMPLATE)
    with psycopg.connect(postgres.url(stack.home, PAST_TEMPLATE), autocommit=True) as connection:
        divide(connection)
    return PAST_TEMPLATE


@pytest.fixture
def past_database_url(stack: Servers, past_template: str) -> Iterator[str]:
    """A migrated, empty database with a partition for each of the last weeks, for this one test."""
    yield from _database(stack, past_template)


@pytest.fixture
def empty_database_url(stack: Servers) -> Iterator[str]:
    """A database without any table, for this one test."""
    yield from _database(stack, "template1")


@pytest.fixture(scope="module")
def redis_url(stack: Servers) -> Iterator[str]:
    """An emptied broker database for this test module, as redis-py takes it."""
    address = with_db(valkey.url(stack.home), 1 + next(_numbers) % 15)
    with redis.Redis.from_url(address) as client:
        client.flushdb()
        yield address
        client.flushdb()


@pytest.fixture(scope="module")
def environment(database_url: str, redis_url: str) -> Iterator[None]:
    """DATABASE_URL and REDIS_URL in the environment, as a process of the product finds them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        patch.setenv("REDIS_URL", redis_url)
        settings.cache_clear()
        yield
    settings.cache_clear()


def _database(stack: Servers, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _copy(stack, template, name)
    yield postgres.url(stack.home, name)
    # Autovacuum may be at work in it, which only the superuser can end.
    _admin(stack, "DROP DATABASE {} WITH (FORCE)", name, postgres.admin_url(stack.home))


def _copy(stack: Servers, template: str, name: str) -> None:
    # Copying the files takes a tenth of the time of writing each block to the log.
    _admin(stack, f"CREATE DATABASE {{}} TEMPLATE {template} STRATEGY file_copy", name)


def _without_waiting_for_the_disk(stack: Servers) -> None:
    """What a test wrote need not survive the machine; it does survive a killed server."""
    with psycopg.connect(postgres.admin_url(stack.home), autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")


def _admin(stack: Servers, statement: str, name: str, url: str | None = None) -> None:
    url = url or postgres.url(stack.home, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
