"""How each process of the product reaches Postgres: a pool for each kind of work.

Nobody opens a transaction here; who holds a connection passes it to the service that does the work.
"""

from typing import Any

from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tierline.storage.db.async_pool import create_async_pool
from tierline.storage.db.engine import (
    BY_INDEX,
    PLANNED_ONCE,
    SESSION,
    create_pool,
    ended_after,
    psycopg_url,
)
from tierline.storage.db.repeat import PASSING

__all__ = [
    "PASSING",
    "api_pool",
    "bounded_pool",
    "check_database_url",
    "dispatcher_pool",
    "worker_pool",
]


def check_database_url(url: str, variable: str = "DATABASE_URL") -> None:
    """Raises UsageError for a URL that cannot be read; it is not connected to."""
    psycopg_url(url, variable)


def api_pool(url: str, name: str, size: int) -> AsyncConnectionPool[Any]:
    """The pool of the API's hot routes, which run on the event loop; opened by its user."""
    return create_async_pool(url, name, size)


def bounded_pool(url: str, name: str, size: int, statement_s: float) -> ConnectionPool[Any]:
    """A pool for routes that run in a thread; opened by its user.

    Postgres ends each statement after `statement_s` seconds. Each connection is tried before it is
    given out, because a route does not make a statement again.
    """
    return create_pool(url, name, size, ended_after(statement_s), checked=True)


def worker_pool(
    url: str, name: str, size: int, *, checked: bool = False, by_index: bool = False
) -> ConnectionPool[Any]:
    """The pool of a worker process; opened by its user.

    `checked`: each connection is tried before it is given out, for who does not make a statement
    again. `by_index`: no statement reads a whole table, as all do that answer jobs.
    """
    return create_pool(url, name, size, BY_INDEX if by_index else SESSION, checked=checked)


def dispatcher_pool(
    url: str, name: str, size: int, *, lock_wait_ms: int | None = None
) -> ConnectionPool[Any]:
    """A pool of a dispatcher, whose statements are planned once; opened by its user.

    `lock_wait_ms`: how long a statement waits for a lock; None: as long as everybody's.
    """
    session = PLANNED_ONCE
    if lock_wait_ms is not None:
        session += f" -c lock_timeout={lock_wait_ms}"  # the last one counts
    return create_pool(url, name, size, session)
