"""A Postgres that restarts, is away, takes no more connections, or takes no writes."""

import contextlib
import signal

import psycopg

from tests.faults.breaking import fault
from tests.faults.scene import Scene, moved

CUT_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
MOST = 500  # connections that are tried at most until Postgres says no


@fault("Postgres restarted")
def restart(scene: Scene) -> None:
    scene.signal("postgres", signal.SIGINT)  # "fast": sessions are ended, a checkpoint is written


@fault("Postgres away for longer than a lease")
def away(scene: Scene) -> None:
    """Its socket is gone and every connection cut, as if it were stopped: no lease may be lost."""
    with scene.database() as connection, moved(scene.postgres_socket):
        connection.execute(CUT_OTHERS)
        scene.last(scene.times.outage_s)


@fault("Postgres frozen for longer than a lease", short=False)
def frozen(scene: Scene) -> None:
    """Connected, and without an answer; no lease may be lost."""
    with contextlib.ExitStack() as stack:
        for pid in scene.postgres_pids():
            stack.enter_context(scene.frozen(pid))
        scene.last(scene.times.outage_s)


@fault("Postgres out of connections")
def crowded(scene: Scene) -> None:
    """Strangers hold every connection there is, those of the product too."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(scene.database())
        _fill(scene, stack)
        for (pid,) in first.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tierline-%'"
        ).fetchall():
            first.execute("SELECT pg_terminate_backend(%s)", (pid,))
        _fill(scene, stack)
        scene.last(scene.times.outage_s)


def _fill(scene: Scene, stack: contextlib.ExitStack) -> None:
    url = str(scene.up.line["database_url"])
    for _ in range(MOST):
        try:
            stack.enter_context(psycopg.connect(url, autocommit=True))
        except psycopg.OperationalError:
            return


@fault("Postgres read-only")
def read_only(scene: Scene) -> None:
    """Every transaction that writes is refused, as on a primary that has become a replica."""
    with scene.database() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            scene.last(scene.times.outage_s)
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
