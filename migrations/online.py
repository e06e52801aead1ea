"""Changes of the schema on a live database. Every migration from 0034 on uses this module.

A statement such as ALTER TABLE waits for the transactions that use the table, and every statement
that comes later waits behind it. So it waits at most `TIERLINE_MIGRATION_LOCK_MS` (50 ms) for its
locks, gives way, and is tried again until `TIERLINE_MIGRATION_WAIT_S` have passed.

Each function commits what the migration did before it, and its own work. A migration that is cut
and run again does them again, so its statements say IF NOT EXISTS, IF EXISTS or OR REPLACE.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from alembic import op
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from migrations.blockers import Watch, holders
from tierline.base.errors import Unavailable
from tierline.base.settings import settings

Step = str | Callable[[], None]
"""A statement of SQL, or a call such as `lambda: op.add_column(…)`."""

# name, table, columns, which rows ("": all)
Index = tuple[str, str, str, str]

HELD_S = 1.0  # the longest statement under locks that everybody waits for
FIRST_WAIT_S = 0.1  # before the second try; doubled for each later one
LONGEST_WAIT_S = 5.0
TELL_S = 10.0  # between two messages about the same lock
# Waiting for this lock holds up no reader and no writer, only other changes of the schema. It comes
# first, because Postgres ends an autovacuum that is in the way only after somebody has waited for a
# second, and the real lock never waits so long.
QUIET_LOCK_S = 5.0

GIVES_WAY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
)


class Blocked(Unavailable):
    """Other transactions kept a migration from its locks for too long."""


def run(tables: str | Sequence[str], *steps: Step, held_s: float = HELD_S) -> None:
    """Run the steps in one transaction, under short lock timeouts, as often as it takes.

    `tables`: the existing tables that the steps lock, for the message about who holds them. A
    step may take at most `held_s` seconds: what reads or writes a whole table belongs in `backfill`
    or in an index. Raises Blocked if the locks were not free in time, or a step took too long.
    """
    named = (tables,) if isinstance(tables, str) else tuple(tables)
    with autocommit() as connection:
        until_free(named, connection, lambda: _once(connection, named, steps, held_s))


def create_indexes(indexes: Sequence[Index]) -> None:
    """Build indexes CONCURRENTLY: no reader and no writer waits, however long it takes.

    A valid index of that name is kept. One that an interrupted run left invalid is dropped first.
    """
    with _patient() as connection:
        for name, table, columns, rows in indexes:
            if _valid(connection, name):
                continue
            connection.execute(_statement(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
            where = f" WHERE {rows}" if rows else ""
            statement = f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}){where}"
            with Watch(connection, f"index {name}", tell):
                connection.execute(_statement(statement))


def drop_indexes(*names: str) -> None:
    """Drop indexes CONCURRENTLY: no reader and no writer waits, however long it takes."""
    with _patient() as connection:
        for name in names:
            with Watch(connection, f"dropping index {name}", tell):
                connection.execute(_statement(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))


def tell(message: str) -> None:
    """Report progress to whoever runs the upgrade."""
    config = op.get_context().config
    report = None if config is None else config.attributes.get("tell")
    if report is not None:
        report(message)


@contextmanager
def autocommit() -> Iterator[psycopg.Connection[Any]]:
    """The migration's connection without a transaction; what was done so far is committed."""
    with op.get_context().autocommit_block():
        driver = op.get_bind().connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        yield driver


def until_free(
    tables: Sequence[str], connection: psycopg.Connection[Any], attempt: Callable[[], None]
) -> None:
    """Repeat `attempt` until no lock is in its way. Raises Blocked after the setting's time."""
    limit_s = settings().migration_wait_s
    began = time.monotonic()
    wait_s, told = FIRST_WAIT_S, began
    while True:
        try:
            return attempt()
        except (psycopg.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(cause, GIVES_WAY):
                raise
            reason = _reason(cause, holders(connection, tables))
        now = time.monotonic()
        where = f"a lock on {', '.join(tables)}"
        if now - began >= limit_s:
            raise Blocked(
                f"the migration waited {now - began:.0f} s for {where}: {reason}. End that"
                " transaction or wait for its end, and run 'tierline db upgrade' again: it"
                " continues where it stopped"
            )
        if now - told >= TELL_S or wait_s == FIRST_WAIT_S:
            told = now
            tell(f"waiting for {where}: {reason}")
        time.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _once(
    connection: psycopg.Connection[Any], tables: Sequence[str], steps: Sequence[Step], held_s: float
) -> None:
    with connection.transaction():
        _set_local(connection, "lock_timeout", QUIET_LOCK_S)
        for table in tables:
            if connection.execute("SELECT to_regclass(%s) IS NULL", (table,)).fetchone() != (True,):
                connection.execute(
                    sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(
                        sql.Identifier(table)
                    )
                )
        _set_local(connection, "lock_timeout", settings().migration_lock_ms / 1000)
        _set_local(connection, "statement_timeout", held_s)
        for step in steps:
            if isinstance(step, str):
                connection.execute(_statement(step))
            else:
                step()


def _reason(cause: psycopg.Error, held: Sequence[str]) -> str:
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return "a statement under the lock took too long, and was undone"
    return "it is held by " + "; ".join(held) if held else "its holder has just ended"


@contextmanager
def _patient() -> Iterator[psycopg.Connection[Any]]:
    """A connection for CONCURRENTLY, which waits for transactions and holds nobody up."""
    with autocommit() as connection:
        connection.execute("SET lock_timeout = 0")
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.execute("SET lock_timeout = '5s'")


def _valid(connection: psycopg.Connection[Any], name: str) -> bool:
    found = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (name,)
    ).fetchone()
    return found == (True,)


def _set_local(connection: psycopg.Connection[Any], name: str, seconds: float) -> None:
    connection.execute("SELECT set_config(%s, %s, true)", (name, f"{round(seconds * 1000)}ms"))


def _statement(text: str) -> sql.SQL:
    """A statement of a migration, which is a constant of this folder."""
    return sql.SQL(text)
