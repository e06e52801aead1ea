"""Who holds the locks that a migration waits for, and how far an index is. Reads only.

It names processes, their application and the age of their transaction, never the text of a query.
"""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import psycopg

MOST_NAMED = 3
LOOK_S = 5.0  # between two looks at a statement that waits or works for long

_NAMED = """
coalesce(nullif(a.application_name, ''), a.backend_type, 'unnamed'),
extract(epoch FROM clock_timestamp() - a.xact_start)::float8
"""

HOLDERS = f"""
SELECT l.pid, {_NAMED} FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation = ANY(SELECT to_regclass(name)::oid FROM unnest(%s::text[]) name)
GROUP BY l.pid, a.application_name, a.backend_type, a.xact_start
ORDER BY a.xact_start NULLS FIRST LIMIT %s
"""

BLOCKING = f"""
SELECT a.pid, {_NAMED} FROM pg_stat_activity a WHERE a.pid = ANY(pg_blocking_pids(%s))
ORDER BY a.xact_start LIMIT %s
"""

INDEX = """
SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total
FROM pg_stat_progress_create_index WHERE pid = %s
"""


def holders(connection: psycopg.Connection[Any], tables: Sequence[str]) -> list[str]:
    """Who holds locks on the tables, the oldest transaction first; at most MOST_NAMED."""
    rows = connection.execute(HOLDERS, (list(tables), MOST_NAMED)).fetchall()
    return [_described(*row) for row in rows]


def _described(pid: int | None, name: str, age_s: float | None) -> str:
    if pid is None:
        return "a prepared transaction (see pg_prepared_xacts)"
    age = "" if age_s is None else f", in a transaction for {age_s:,.0f} s"
    return f"process {pid} ({name}{age})"


class Watch:
    """Reports on a long statement of `connection` from a second connection, every LOOK_S."""

    def __init__(
        self, connection: psycopg.Connection[Any], what: str, tell: Callable[[str], None]
    ) -> None:
        self._pid = connection.info.backend_pid
        self._dsn = connection.info.dsn
        self._password = connection.info.password
        self._what, self._tell = what, tell
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._messages: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(LOOK_S):
            try:
                with psycopg.connect(
                    self._dsn, password=self._password, autocommit=True
                ) as connection:
                    message = self._seen(connection)
            except psycopg.Error:
                continue  # the statement itself reports what is wrong with the database
            if message is not None:
                self._tell(f"{self._what}: {message}")

    def _seen(self, connection: psycopg.Connection[Any]) -> str | None:
        waits = connection.execute(BLOCKING, (self._pid, MOST_NAMED)).fetchall()
        if waits:
            return "waiting for the end of " + "; ".join(_described(*row) for row in waits)
        row = connection.execute(INDEX, (self._pid,)).fetchone()
        if row is None:
            return None
        phase, blocks, of_blocks, tuples, of_tuples = row
        done, total = (blocks, of_blocks) if of_blocks else (tuples, of_tuples)
        return f"{phase}, {100 * done // total}%" if total else str(phase)
