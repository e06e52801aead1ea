"""Backfills in batches, for the migrations from 0034 on: see `online`."""

import time

from psycopg import sql

from migrations.online import autocommit, tell, until_free

AT_ONCE = 2_000  # rows of one transaction: about 100 ms
PAUSE_SHARE = 0.5  # pause after a batch, as a share of the time that it took
TELL_S = 5.0
POSITIONS = "upgrade_positions"
"""The table with the positions of unfinished upgrades; an upgrade that reaches its end drops it."""

_TABLE = f"""
CREATE TABLE IF NOT EXISTS {POSITIONS} (
    name text PRIMARY KEY, position text, rows bigint NOT NULL, done boolean NOT NULL)
"""
_SAVE = f"""
INSERT INTO {POSITIONS} (name, position, rows, done) VALUES (%s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    position = excluded.position, rows = excluded.rows, done = excluded.done
"""


def backfill(name: str, table: str, statement: str, *, most: int = AT_ONCE) -> int:
    """Run `statement` until it finds nothing more, each batch in a transaction of its own.

    `statement` handles the next `%(most)s` rows of `table` behind `%(after)s` (text, null at the
    start) and returns one row: how many it handled, and the last one's position as text, null for
    none. The position is stored in the batch's transaction, so that a run after an interruption
    continues there and handles no row twice. `name` identifies it among all migrations. Returns the
    number of rows. Raises online.Blocked if locked rows kept a batch waiting for too long.
    """
    with autocommit() as connection:
        connection.execute(_TABLE)
        found = connection.execute(
            sql.SQL("SELECT position, rows, done FROM {} WHERE name = %s").format(
                sql.Identifier(POSITIONS)
            ),
            (name,),
        ).fetchone()
        position, rows, done = found or (None, 0, False)
        (about,) = connection.execute(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)",
            (table,),
        ).fetchone() or (0,)
        told = time.monotonic()

        def batch() -> None:
            nonlocal position, rows, done
            with connection.transaction():
                count, last = connection.execute(
                    sql.SQL(statement),
                    {"after": position, "most": most},
                ).fetchone() or (0, None)
                ended = last is None
                after = position if ended else last
                connection.execute(_SAVE, (name, after, rows + count, ended))
            position, rows, done = after, rows + count, ended

        while not done:
            began = time.monotonic()
            until_free((table,), connection, batch)
            now = time.monotonic()
            if now - told >= TELL_S:
                told = now
                tell(_progress(name, rows, about))
            if not done:
                time.sleep(PAUSE_SHARE * (now - began))
    return int(rows)


def _progress(name: str, rows: int, about: int) -> str:
    if about <= rows:
        return f"{name}: {rows:,} rows"
    return f"{name}: {rows:,} of about {about:,} rows ({100 * rows // about}%)"
