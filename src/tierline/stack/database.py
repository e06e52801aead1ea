"""The embedded server's database and the role that the product logs in with.

Two roles. ADMIN is the server's superuser, for this file alone, over the socket. APP owns the
database and everything in it: it migrates, reads and writes, may make further databases (a restore
needs one), and is no superuser, so that a statement that should never run reads no file and starts
no program.

Up to 0.1.0 the product logged in as the superuser, which owned everything. `make_database` is run
at each start, finds what is not as it should be and changes that, in one transaction for each
database: it may be cut anywhere and run again, and a home that an older release used in between is
put right once more.
"""

from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql

from tierline.stack import postgres
from tierline.stack.home import Home

_RIGHTS = sql.SQL("LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")

# What the superuser owns outside the catalogues and outside extensions. Indexes, sequences of
# columns and types of rows follow their tables; REASSIGN OWNED refuses the server's first role.
_NOT_HANDED_OVER = """
WITH mine AS (
    SELECT oid FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
), extensions AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
)
SELECT format('ALTER SCHEMA %%I OWNER TO ', nspname) FROM pg_namespace n
WHERE n.oid IN (SELECT oid FROM mine) AND pg_get_userbyid(nspowner) = %(admin)s
  AND ('pg_namespace'::regclass, n.oid) NOT IN (SELECT * FROM extensions)
UNION ALL
SELECT format('ALTER %%s %%s OWNER TO ',
              CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                           WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
                           ELSE 'TABLE' END,
              c.oid::regclass)
FROM pg_class c
WHERE relnamespace IN (SELECT oid FROM mine) AND pg_get_userbyid(relowner) = %(admin)s
  AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM extensions)
  AND NOT (relkind = 'S' AND EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT format('ALTER ROUTINE %%s OWNER TO ', p.oid::regprocedure) FROM pg_proc p
WHERE pronamespace IN (SELECT oid FROM mine) AND pg_get_userbyid(proowner) = %(admin)s
  AND prokind <> 'a' AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM extensions)
UNION ALL
SELECT format('ALTER TYPE %%s OWNER TO ', format_type(t.oid, NULL)) FROM pg_type t
WHERE typnamespace IN (SELECT oid FROM mine) AND pg_get_userbyid(typowner) = %(admin)s
  AND typtype IN ('d', 'e', 'r') AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM extensions)
"""


def make_database(home: Home) -> None:
    """The product's role and its own database, owned by it, unless they are there already."""
    with psycopg.connect(postgres.admin_url(home, "postgres"), autocommit=True) as server:
        _make_role(server, home.secret(postgres.APP_SECRET))
        owner = server.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s",
            [postgres.DATABASE],
        ).fetchone()
        if owner is None:
            server.execute(_database("CREATE DATABASE {} OWNER {}"))
            return
        if owner != (postgres.APP,):
            server.execute(_database("ALTER DATABASE {} OWNER TO {}"))
    with psycopg.connect(postgres.admin_url(home)) as connection:
        _hand_over(connection)


def _make_role(server: Connection[Any], password: str) -> None:
    """Rights and password are set at each start: the home's secrets are what is right."""
    known = server.execute("SELECT FROM pg_roles WHERE rolname = %s", [postgres.APP]).fetchone()
    if known is None:
        server.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(postgres.APP)))
    # the password's verifier, never the password, is part of a statement
    verifier = server.pgconn.encrypt_password(
        password.encode(), postgres.APP.encode(), b"scram-sha-256"
    ).decode()
    server.execute(
        sql.SQL("ALTER ROLE {} {} PASSWORD {}").format(
            sql.Identifier(postgres.APP), _RIGHTS, sql.Literal(verifier)
        )
    )


def _database(statement: LiteralString) -> sql.Composed:
    return sql.SQL(statement).format(
        sql.Identifier(postgres.DATABASE), sql.Identifier(postgres.APP)
    )


def _hand_over(connection: Connection[Any]) -> None:
    """Make everything in the database the product's. Commits once."""
    app = sql.Identifier(postgres.APP)
    found = connection.execute(_NOT_HANDED_OVER, {"admin": postgres.ADMIN}).fetchall()
    for (statement,) in found:
        connection.execute(sql.SQL(statement) + app)  # its names were quoted by format()
