"""How a process reaches Postgres: what every connection asks for, and the psycopg pool.

DATABASE_URL is written as libpq writes it (postgresql://…, postgres://…). Connections name
themselves in pg_stat_activity and never wait for a lock, or inside a transaction, without end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from tierline.base.errors import UsageError
from tierline.base.settings import settings

# A statement of the product takes milliseconds; what takes this long is stuck, and must not hold
# locks that others wait for.
SESSION = "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000 -c timezone=UTC"

# For one that says the same few statements all day: each is planned once. Left to itself, Postgres
# planned the dispatcher's choice anew each time, for half of what the choice took. Each is written
# for an index in whose order it walks: without statistics, or with those of a shorter backlog, the
# planner rather sorts the whole of it. Releases before 18 count a plan that must sort all the same
# as so dear that they would compile it, hence no jit.
PLANNED_ONCE = (
    f"{SESSION} -c plan_cache_mode=force_generic_plan"
    " -c enable_sort=off -c enable_incremental_sort=off -c jit=off"
)


NOT_DURABLE = "SET synchronous_commit = off"


def ended_after(statement_s: float) -> str:
    """SESSION for connections whose statements Postgres ends after `statement_s` seconds."""
    return f"{SESSION} -c statement_timeout={max(1, round(statement_s * 1000))}"


@contextmanager
def within(connection: psycopg.Connection[Any], statement_s: float) -> Iterator[None]:
    """A transaction whose statements Postgres ends after `statement_s` seconds each."""
    with connection.transaction():
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true)",
            (f"{max(1, round(statement_s * 1000))}ms",),
        )
        yield


def connect_args(name: str, session: str = SESSION) -> Mapping[str, Any]:
    """What every connection asks for. `name` is shown in pg_stat_activity."""
    return {
        "application_name": f"tierline-{name}",
        "options": session,
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "tcp_user_timeout": 15_000,
    }


def connect(
    url: str, name: str, *, durable: bool = True, prepare: bool = True
) -> psycopg.Connection[Any]:
    """An autocommit connection outside any pool. `name` is shown in pg_stat_activity.

    `durable` false: a commit does not wait for the disk, so that a crash of the server may lose it.
    `prepare` false: no statement is prepared. Raises psycopg.Error, and UsageError for a URL that
    cannot be read.
    """
    parameters: dict[str, Any] = {**connect_args(name), "autocommit": True}
    if not prepare:
        parameters["prepare_threshold"] = None
    connection = psycopg.connect(psycopg_url(url), **parameters)
    if not durable:
        connection.execute(NOT_DURABLE)
    return connection


def psycopg_url(url: str) -> str:
    """The URL as psycopg takes it; SQLAlchemy's spelling with a driver is accepted too.

    Raises UsageError for one that libpq cannot read: libpq's own words would quote the password.
    """
    scheme, separator, rest = url.partition("://")
    found = f"postgresql{separator}{rest}" if scheme.startswith("postgres") else url
    try:
        parts = conninfo_to_dict(found)
        readable = all(
            port.isascii() and port.isdigit() for port in str(parts.get("port", 0)).split(",")
        )
    except psycopg.Error:
        readable = False
    if not readable:
        raise UsageError(
            "DATABASE_URL cannot be read: it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with"
            " % and other special characters of the password written as %25 and the like"
        )
    return found


def create_pool(
    url: str,
    name: str,
    size: int | None = None,
    session: str = SESSION,
    *,
    checked: bool = False,
) -> ConnectionPool:
    """A pool of autocommit connections; opened by its user.

    `checked`: each connection is tried before it is given out, one round trip more. For callers
    that do not make a statement again: one that broke with Postgres would fail their request.
    """
    most = size or settings().pool_size
    return ConnectionPool(
        psycopg_url(url),
        kwargs={**connect_args(name, session), "autocommit": True},
        min_size=1,
        max_size=most,
        open=False,
        check=ConnectionPool.check_connection if checked else None,
        timeout=10.0,
        reconnect_timeout=3.0,  # the pool's own back-off grows to a minute; after it, users' tries
        max_idle=120.0,
        name=name,
    )
