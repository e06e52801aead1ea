"""Makes a role and a database that it owns, as the server's superuser.

Only for the embedded server. On other servers, the operator decides who owns what.
"""

from typing import Any, LiteralString

from psycopg import Connection, sql

_RIGHTS = sql.SQL("LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")

# What the superuser owns outside the catalogues and extensions. Indexes, sequences of columns and
# row types follow their tables. REASSIGN OWNED does not work for the server's first role.
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


def make_role(server: Connection[Any], role: str, password: str) -> None:
    """Make the role if it is missing, and set its rights and password each time.

    It may log in and create databases; it is no superuser. Statements contain the password's
    verifier, never the password.
    """
    exists = server.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if exists is None:
        server.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    verifier = server.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    server.execute(
        sql.SQL("ALTER ROLE {} {} PASSWORD {}").format(
            sql.Identifier(role), _RIGHTS, sql.Literal(verifier)
        )
    )


def make_owned(server: Connection[Any], database: str, role: str) -> bool:
    """Make the database, owned by the role. Returns whether it existed, whoever owned it."""
    owner = server.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [database]
    ).fetchone()
    if owner is None:
        server.execute(_database("CREATE DATABASE {} OWNER {}", database, role))
        return False
    if owner != (role,):
        server.execute(_database("ALTER DATABASE {} OWNER TO {}", database, role))
    return True


def hand_over(connection: Connection[Any], superuser: str, role: str) -> None:
    """Make the role the owner of all that the superuser owns in this database, in the caller's
    transaction.
    """
    owner = sql.Identifier(role)
    for (statement,) in connection.execute(_NOT_HANDED_OVER, {"admin": superuser}).fetchall():
        connection.execute(sql.SQL(statement) + owner)  # its names were quoted by format()


def _database(statement: LiteralString, database: str, role: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(role))
