"""The embedded database's roles: the product logs in as no superuser, in old homes too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tierline.stack.embedded import postgres
from tierline.stack.embedded.servers import Servers, end_left_overs, remove_sockets, running_servers
from tierline.stack.home import Home, HomeLock, open_home
from tierline.stack.processes.child import Child
from tierline.stack.processes.logs import LogPump
from tierline.storage.db import migrate, revisions

OURS = "SELECT current_user, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"
STRANGE = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND pg_get_userbyid(relowner) <> 'tierline_app'
"""


def test_the_product_logs_in_as_no_superuser_and_owns_its_database(stack: Servers) -> None:
    with psycopg.connect(postgres.url(stack.home)) as connection:
        assert connection.execute(OURS).fetchone() == ("tierline_app", False, False)
        connection.execute("CREATE EXTENSION pg_trgm")  # a trusted one, as its owner may
        connection.rollback()


def test_its_random_password_is_not_stretched_at_each_connection(stack: Servers) -> None:
    with psycopg.connect(postgres.admin_url(stack.home)) as connection:
        stored = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'tierline_app'"
        ).fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$1:")


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "ALTER ROLE tierline_app SUPERUSER",
        "SET ROLE tierline",
    ],
)
def test_what_takes_a_superuser_is_refused_to_it(stack: Servers, statement: str) -> None:
    with (
        psycopg.connect(postgres.url(stack.home), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@contextmanager
def server_alone(home: Home) -> Iterator[None]:
    """The server without what the product makes in it, as 0.1.0 started it."""
    open_home(home.path)  # its sockets' folder goes with each end
    lock = HomeLock(home)
    lock.acquire()
    pump = LogPump()
    child = Child(postgres.program(home), home, pump)
    try:
        end_left_overs(home)
        postgres.prepare(home)
        child.start()
        postgres.wait_ready(home, child)
        yield
    finally:
        child.stop(30)
        pump.close()
        remove_sockets(home)
        lock.release()


def home_of_0_1_0(path: Path) -> Home:
    """A home whose login role is the superuser, which owns all there is."""
    home = open_home(path)
    with server_alone(home):
        with psycopg.connect(postgres.admin_url(home, "postgres"), autocommit=True) as server:
            server.execute("CREATE DATABASE tierline")
        migrate.upgrade(postgres.admin_url(home))
        with psycopg.connect(postgres.admin_url(home)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
            connection.execute("CREATE VIEW seen AS SELECT * FROM kept")
            connection.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1")
            connection.execute("CREATE TYPE colour AS ENUM ('red')")
            connection.execute("CREATE SCHEMA own CREATE TABLE own.more (id serial)")
            connection.execute("CREATE EXTENSION pg_trgm")
    return home


def check(home: Home) -> None:
    with psycopg.connect(postgres.url(home)) as connection:
        assert connection.execute(OURS).fetchone() == ("tierline_app", False, False)
        assert connection.execute(STRANGE).fetchall() == []
        assert connection.execute("SELECT id FROM seen").fetchone() == (1,)
        connection.execute("ALTER TABLE kept ADD COLUMN more text")
        connection.execute("ALTER TYPE colour ADD VALUE 'green'")
        connection.execute("DROP FUNCTION one()")
        connection.execute("INSERT INTO own.more DEFAULT VALUES")
        connection.execute("DROP SCHEMA own CASCADE")
        connection.rollback()
    assert migrate.upgrade(postgres.url(home)) == (revisions.head(), revisions.head())


def test_a_home_of_0_1_0_is_handed_over_at_the_next_start(tmp_path: Path) -> None:
    home = home_of_0_1_0(tmp_path / "home")
    for _ in range(2):
        with running_servers(home.path):
            check(home)


def test_a_home_that_was_half_handed_over_or_used_by_0_1_0_again_is_put_right(
    tmp_path: Path,
) -> None:
    home = home_of_0_1_0(tmp_path / "home")
    with running_servers(home.path):
        pass
    with server_alone(home), psycopg.connect(postgres.admin_url(home)) as connection:
        connection.execute("CREATE TABLE of_0_1_0 (id int)")
        connection.execute("ALTER TABLE jobs OWNER TO tierline")
        connection.execute("ALTER DATABASE tierline OWNER TO tierline")
        connection.execute("ALTER ROLE tierline_app SUPERUSER PASSWORD 'another'")
    with running_servers(home.path):
        check(home)
