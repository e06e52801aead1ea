"""Connections to Postgres: the options of every connection, and the psycopg pool.

DATABASE_URL has libpq's form (postgresql://…, postgres://…). Connections show their name in
pg_stat_activity. They have a lock timeout and a limit on idle time inside a transaction.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from tierline.base.errors import UsageError
from tierline.base.settings import settings
from tierline.storage.db.clock import read_clock
from tierline.storage.db.homes import read_homes

# The product's statements take milliseconds. One that takes this long is stuck, and must not hold
# locks that others wait for.
SESSION = "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000 -c timezone=UTC"

# For a connection whose statements all find their rows by an index. A plan is kept for as long as
# the connection: one that was made while a table was nearly empty would read the whole table for
# each row later, for example all dead rows of jobs_live beside a dump. Releases before 18 give what
# must be read whole a cost so high that they would compile it, hence no jit.
BY_INDEX = f"{SESSION} -c enable_seqscan=off -c jit=off"

# For a connection that repeats the same few statements: each is planned once. By default Postgres
# planned the dispatcher's choice anew each time, which took half of its time. Each statement is
# written for an index that has its order. Without statistics, or with those of a shorter backlog,
# the planner would rather sort the whole backlog.
PLANNED_ONCE = (
    f"{BY_INDEX} -c plan_cache_mode=force_generic_plan"
    " -c enable_sort=off -c enable_incremental_sort=off"
)


NOT_DURABLE = "SET synchronous_commit = off"


def ended_after(statement_s: float) -> str:
    """SESSION for connections with a statement timeout of `statement_s` seconds."""
    return f"{SESSION} -c statement_timeout={max(1, round(statement_s * 1000))}"


@contextmanager
def within(connection: psycopg.Connection[Any], statement_s: float) -> Iterator[None]:
    """A transaction with a statement timeout of `statement_s` seconds."""
    with connection.transaction():
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true)",
            (f"{max(1, round(statement_s * 1000))}ms",),
        )
        yield


def allow_idle(connection: psycopg.Connection[Any]) -> None:
    """Let the present transaction be idle while its process calculates, however long that takes.

    For one that holds no lock that a job waits for. The connection ends with its process.
    """
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def connect_args(name: str, session: str = SESSION) -> Mapping[str, Any]:
    """The options of every connection. `name` is shown in pg_stat_activity."""
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


def psycopg_url(url: str, variable: str = "DATABASE_URL") -> str:
    """The URL in psycopg's form; SQLAlchemy's form with a driver is accepted too. `variable`: where
    it comes from.

    Raises UsageError if libpq cannot read it: libpq's own message would quote the password.
    """
    scheme, separator, rest = url.partition("://")
    own_form = f"postgresql{separator}{rest}" if scheme.startswith("postgres") else url
    try:
        parts = conninfo_to_dict(own_form)
        readable = all(
            port.isascii() and port.isdigit() for port in str(parts.get("port", 0)).split(",")
        )
    except psycopg.Error:
        readable = False
    if not readable:
        raise UsageError(
            f"{variable} is not a valid URL: write "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with"
            " % and other special characters of the password written as %25 and the like"
        )
    return own_form


def _configure(connection: psycopg.Connection[Any]) -> None:
    read_clock(connection)
    read_homes(connection)


def create_pool(
    url: str,
    name: str,
    size: int | None = None,
    session: str = SESSION,
    *,
    checked: bool = False,
) -> ConnectionPool:
    """A pool of autocommit connections; its user opens it.

    `checked`: each connection is tested before use, which costs a round trip. For callers that do
    not retry: a connection that broke with Postgres would fail their request.
    """
    most = size or settings().pool_size
    return ConnectionPool(
        psycopg_url(url),
        kwargs={**connect_args(name, session), "autocommit": True},
        min_size=1,
        max_size=most,
        open=False,
        configure=_configure,
        check=ConnectionPool.check_connection if checked else None,
        timeout=10.0,
        reconnect_timeout=3.0,  # the pool's own back-off grows to a minute; after it, users' tries
        max_idle=120.0,
        name=name,
    )
