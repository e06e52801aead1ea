"""Turns a table into one that is partitioned by its UUIDv7 key, without copying a row.

The table becomes the first partition, `<table>_before`, which holds every id up to a bound some
time ahead. A CHECK that was validated beforehand proves that, so that attaching it reads no row.
The exchange is one short transaction. Processes of the release before notice nothing: the names and
the columns stay.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from migrations import online
from tierline.base.errors import Conflict

AHEAD = timedelta(days=1)  # what validating may take, and how wrong the clock of a process may be
FARTHEST = timedelta(days=400)  # ids of a clock that was ahead by more than this are an error
MARGIN = timedelta(hours=1)  # at the exchange the bound is at least this far ahead

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


class CannotPartition(Conflict):
    """A table cannot be partitioned as it is; the message says why and what to do."""


def partition(
    table: str, key: str, *, replaced: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Partition `table` by ranges of `key`. Safe to repeat after a cut.

    A unique index of a partitioned table must contain its key. `replaced` has the indexes that do
    not: the name of each, with the name and the columns of the one in its place.

    Commits what the migration has done so far. Raises CannotPartition, and Blocked if the lock was
    not free in time.
    """
    replaced = replaced or {}
    if not _is_partitioned(table):
        online.create_indexes([(name, table, columns, "") for name, columns in replaced.values()])
        _exchange(table, key, list(replaced))
    # Autovacuum never analyses a partitioned table, only its partitions.
    _patiently(f"ANALYZE {table}")


def _is_partitioned(table: str) -> bool:
    with online.autocommit() as connection:
        found = connection.execute(
            "SELECT relkind FROM pg_class WHERE oid = %s::regclass", (table,)
        )
        return found.fetchone() == ("p",)


def _exchange(table: str, key: str, obsolete: Sequence[str]) -> None:
    check = f"{table}_before_bound"
    alone = f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
    drop_check = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}"
    while not _is_partitioned(table):
        bound_at, bound = _bound(table, key)
        online.run(
            table,
            *(alone, drop_check),
            f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({key} < '{bound}') NOT VALID",
        )
        try:
            _patiently(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}")
            if bound_at - _now() > MARGIN:
                with online.autocommit() as connection:
                    statements = _become_a_partition(connection, table, key, bound, obsolete)
                online.run(table, alone, *statements)
        finally:
            # Left behind, it would refuse the rows of the time after the bound.
            if not _is_partitioned(table):
                online.run(table, alone, drop_check)


def _bound(table: str, key: str) -> tuple[datetime, UUID]:
    """Where the first partition ends: behind now, and behind every id that is there."""
    now = _now()
    with online.autocommit() as connection:
        newest = connection.execute(
            sql.SQL("SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1").format(
                key=sql.Identifier(key), table=sql.Identifier(table)
            )
        ).fetchone()
        bound = connection.execute(_BOUND, (now, AHEAD)).fetchone()
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


def _patiently(statement: str) -> None:
    """Run a statement that no reader and no writer waits for, however long it takes."""
    with online.autocommit() as connection:
        connection.execute("SET lock_timeout = 0")
        connection.execute(sql.SQL(statement))
        connection.execute("SET lock_timeout = '5s'")


def _now() -> datetime:
    with online.autocommit() as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT of an expression gives one row"
    now: datetime = row[0]
    return now


def _become_a_partition(
    connection: Connection[Any], table: str, key: str, bound: UUID, obsolete: Sequence[str]
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
            *(
                f"ALTER TABLE {name} ALTER COLUMN {column} SET DEFAULT nextval('{sequence}')"
                for name in (table, before)
            ),
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
