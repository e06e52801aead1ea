"""Turns a table into one that is partitioned by its UUIDv7 key, without copying a row.

The table becomes the first partition, `<table>_before`, which holds every id up to a bound some
time ahead. A CHECK that was validated beforehand proves that, so that attaching it reads no row.
The exchange is one short transaction. Processes of the release before notice nothing: the names and
the columns stay.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from alembic import op
from psycopg import Connection, sql
from psycopg.errors import LockNotAvailable

AHEAD = timedelta(days=1)  # what validating may take, and how wrong the clock of a process may be
FARTHEST = timedelta(days=400)  # ids of a clock that was ahead by more than this are an error
MARGIN = timedelta(hours=1)  # at the exchange the bound is at least this far ahead
LOCK_TIMEOUT_MS = 50  # everybody who uses the table waits as long as this transaction waits
PAUSE_S = 0.5  # between two tries for the lock
GIVE_UP_S = 600.0

# The first id of the first week that begins more than AHEAD after a time.
_BOUND = """
SELECT week, (lpad(to_hex((extract(epoch FROM week) * 1000)::bigint), 12, '0')
    || '00000000000000000000')::uuid
FROM (SELECT date_trunc('week', (%s::timestamptz + %s + interval '7 days') AT TIME ZONE 'UTC')
    AT TIME ZONE 'UTC' AS week)
"""
_IDENTITIES = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attidentity <> '' AND NOT attisdropped
"""
_INDEXES = """
SELECT c.relname, pg_get_indexdef(c.oid), k.conname, pg_get_constraintdef(k.oid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
WHERE i.indrelid = %s::regclass ORDER BY c.relname
"""
_TRIGGERS = """
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname
"""
_GRANTS = """
SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = %s::regclass AND a.grantee <> c.relowner
"""


class CannotPartition(Exception):
    """A table cannot be partitioned as it is; the message says why and what to do."""


def partition(
    table: str, key: str, *, replaced: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Partition `table` by ranges of `key`. Safe to repeat after a cut.

    A unique index of a partitioned table must contain its key. `replaced` has the indexes that do
    not: the name of each, with the name and the columns of the one in its place.

    Commits what the migration has done so far. Raises CannotPartition.
    """
    replaced = replaced or {}
    with op.get_context().autocommit_block():
        connection: Connection[Any] = op.get_bind().connection.driver_connection  # type: ignore[assignment]
        # Building and validating block nobody, however long they wait.
        connection.execute("SET lock_timeout = 0")
        if not _is_partitioned(connection, table):
            for name, columns in replaced.values():
                connection.execute(_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
                connection.execute(_sql(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns})"))
            _exchange(connection, table, key, list(replaced))
        # Autovacuum never analyses a partitioned table, only its partitions.
        connection.execute(_sql(f"ANALYZE {table}"))
        connection.execute("SET lock_timeout = '5s'")


def _is_partitioned(connection: Connection[Any], table: str) -> bool:
    found = connection.execute("SELECT relkind FROM pg_class WHERE oid = %s::regclass", (table,))
    return found.fetchone() == ("p",)


def _exchange(connection: Connection[Any], table: str, key: str, obsolete: list[str]) -> None:
    while True:
        bound_at, bound = _bound(connection, table, key)
        check = f"{table}_before_bound"
        drop_check = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}"
        _briefly(
            connection,
            table,
            drop_check,
            f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({key} < '{bound}') NOT VALID",
        )
        try:
            connection.execute(_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}"))
            if bound_at - _now(connection) > MARGIN:
                _briefly(
                    connection, table, *_become_a_partition(connection, table, key, bound, obsolete)
                )
                return
        finally:
            # Left behind, it would refuse the rows of the time after the bound.
            if not _is_partitioned(connection, table):
                _briefly(connection, table, drop_check)


def _bound(connection: Connection[Any], table: str, key: str) -> tuple[datetime, UUID]:
    """Where the first partition ends: behind now, and behind every id that is there."""
    now = _now(connection)
    bound = connection.execute(_BOUND, (now, AHEAD)).fetchone()
    newest = connection.execute(
        _sql(f"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1")
    ).fetchone()
    if bound is not None and newest is not None and newest[0] >= bound[1]:
        ms = newest[0].int >> 80
        if ms > (now + FARTHEST).timestamp() * 1000:
            raise CannotPartition(
                f"{table}.{key} {newest[0]} is not a UUIDv7 of this time, so it belongs to no"
                " partition: remove rows with such ids, then run 'tierline db upgrade' again"
            )
        behind = datetime.fromtimestamp(ms / 1000, UTC)
        bound = connection.execute(_BOUND, (behind, AHEAD)).fetchone()
    assert bound is not None, "a SELECT of an expression gives one row"
    return bound


def _become_a_partition(
    connection: Connection[Any], table: str, key: str, bound: UUID, obsolete: list[str]
) -> list[str]:
    """The statements of the exchange, from what the catalogue says about the table now."""
    before = f"{table}_before"
    indexes = connection.execute(_INDEXES, (table,)).fetchall()
    triggers = connection.execute(_TRIGGERS, (table,)).fetchall()
    grants = connection.execute(_GRANTS, (table,)).fetchall()
    identities = [name for (name,) in connection.execute(_IDENTITIES, (table,))]
    (comment,) = connection.execute(
        "SELECT quote_nullable(obj_description(%s::regclass, 'pg_class'))", (table,)
    ).fetchone() or ("NULL",)
    statements = [f"DROP TRIGGER {name} ON {table}" for name, _ in triggers]
    statements.append(f"ALTER TABLE {table} RENAME TO {before}")
    for index, _, constraint, _ in indexes:
        if index in obsolete:
            statements.append(f"DROP INDEX {index}")
        elif constraint is not None:
            statements.append(
                f"ALTER TABLE {before}"
                f" RENAME CONSTRAINT {constraint} TO {_renamed(table, constraint)}"
            )
        else:
            statements.append(f"ALTER INDEX {index} RENAME TO {_renamed(table, index)}")
    for column in identities:
        statements += [_keep_counting(before, f"{table}_{column}_seq", column)]
    statements.append(
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS INCLUDING GENERATED"
        " INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS)"
        f" PARTITION BY RANGE ({key})"
    )
    statements.append(f"COMMENT ON TABLE {table} IS {comment}")
    for column in identities:
        sequence = f"{table}_{column}_seq"
        statements += [
            f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{sequence}')",
            f"ALTER SEQUENCE {sequence} OWNED BY {table}.{column}",
        ]
    for index, definition, constraint, constraint_definition in indexes:
        if index in obsolete:
            continue
        if constraint is not None:
            statements.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {constraint_definition}"
            )
        else:
            statements.append(definition)
    statements.append(
        f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{bound}')"
    )
    statements.append(f"ALTER TABLE {before} DROP CONSTRAINT {before}_bound")
    statements += [definition for _, definition in triggers]
    statements += [f"GRANT {what} ON {table} TO {role}{option}" for what, role, option in grants]
    return statements


def _renamed(table: str, name: str) -> str:
    """The name of an index or constraint of the first partition."""
    return f"{table}_before{name.removeprefix(table)}"


def _keep_counting(before: str, sequence: str, column: str) -> str:
    """Replace an identity by a sequence of the same name that goes on from its value.

    Before PostgreSQL 17 a partitioned table has no identity columns.
    """
    return f"""DO $$
DECLARE
    last bigint;
    used boolean;
BEGIN
    SELECT last_value, is_called INTO last, used FROM {sequence};
    ALTER TABLE {before} ALTER COLUMN {column} DROP IDENTITY;
    CREATE SEQUENCE {sequence};
    PERFORM setval('{sequence}', last, used);
END $$"""


def _briefly(connection: Connection[Any], table: str, *statements: str) -> None:
    """Run the statements in one transaction that holds the table alone.

    While it waits for the lock, whoever comes later waits behind it: so it waits for 50 ms, and
    tries again after a pause.
    """
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        try:
            with connection.transaction():
                connection.execute(_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                connection.execute(_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                for statement in statements:
                    connection.execute(_sql(statement))
            return
        except LockNotAvailable:
            if time.monotonic() > give_up_s:
                raise CannotPartition(
                    f"another session has used {table} in one transaction for"
                    f" {GIVE_UP_S / 60:.0f} minutes, such as a dump or a long report: when it has"
                    " ended, run 'tierline db upgrade' again"
                ) from None
        time.sleep(PAUSE_S)


def _now(connection: Connection[Any]) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT of an expression gives one row"
    now: datetime = row[0]
    return now


def _sql(statement: str) -> sql.SQL:
    """A statement made of names in the catalogue and of names in migrations."""
    return sql.SQL(statement)  # type: ignore[arg-type]
