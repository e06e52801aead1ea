"""Who holds a snapshot open: an idle transaction, or a pg_dump whose reader is slow."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.embedded import postgres

Holds = Callable[[], bool]  # whether the snapshot is still held
# Called with the URL of the database, and with the superuser's.
Hold = Callable[[str, str], AbstractContextManager[Holds]]

HELD = "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = %s"
DUMPING = """
SELECT backend_xmin IS NOT NULL FROM pg_stat_activity
WHERE application_name = 'pg_dump' AND datname = current_database()
"""
READ_BYTES, READ_EVERY_S = 4_096, 1.0


@contextlib.contextmanager
def transaction(url: str, admin_url: str) -> Iterator[Holds]:
    """A transaction that has read once and does nothing more, as a long report's between pages."""
    with (
        psycopg.connect(admin_url, autocommit=True) as admin,
        psycopg.connect(url) as connection,
    ):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM jobs")
        pid = connection.info.backend_pid
        yield lambda: _is_true(admin.execute(HELD, (pid,)).fetchone())
        connection.rollback()


@contextlib.contextmanager
def pg_dump(url: str, admin_url: str) -> Iterator[Holds]:
    """A real pg_dump that is read at a few kilobytes a second, as over a slow network."""
    parts = conninfo_to_dict(url)
    names = {"host": "PGHOST", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    environment = os.environ | {names[key]: str(parts[key]) for key in names}
    with psycopg.connect(admin_url, autocommit=True) as admin:
        child = subprocess.Popen(
            [postgres.binary("pg_dump")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None
        stopped = threading.Event()

        def read() -> None:
            while not stopped.wait(READ_EVERY_S) and os.read(out, READ_BYTES):
                pass

        out = child.stdout.fileno()
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            wait_until(
                lambda: _is_true(admin.execute(DUMPING).fetchone()), DEADLINE_S, "pg_dump to begin"
            )
            yield lambda: child.poll() is None and _is_true(admin.execute(DUMPING).fetchone())
        finally:
            child.terminate()
            stopped.set()
            reader.join()
            child.stdout.close()
            child.wait(DEADLINE_S)


def _is_true(row: tuple[object, ...] | None) -> bool:
    return row is not None and bool(row[0])
