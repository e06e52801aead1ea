"""A Postgres that restarts, is away, takes no more connections, or takes no writes."""

import contextlib
import signal
from urllib.parse import quote

import psycopg

from tests.faults.breaking import fault
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.faults.small_disk import filled
from tests.faults.states import moved
from tests.support.waiting import wait_until

CUT_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
LEAST_CUTS = 20
ENDED_BY = "SELECT 1 FROM attempts WHERE worker = %s AND verdict IS NOT NULL OFFSET 9 LIMIT 1"
MOST = 500  # connections that are tried at most until Postgres says no


@fault("Postgres restarted")
def restart(scene: Scene) -> None:
    scene.signal("postgres", signal.SIGINT)  # "fast": sessions are ended, a checkpoint is written


@fault("Postgres away for longer than a lease")
def away(scene: Scene) -> None:
    """Its socket is gone and every connection cut, as if it were stopped: no lease may be lost."""
    with scene.superuser() as connection, moved(scene.postgres_socket):
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
        first = stack.enter_context(scene.superuser())
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
    with scene.superuser() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            scene.last(scene.times.outage_s)
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


@fault("the disk full", short=False, missing=lambda scene: scene.no_small_disk)
def full_disk(scene: Scene) -> None:
    """The home's whole disk: Postgres, the broker, the logs and `up` itself can write no more, and
    what dies meanwhile must be started all the same."""
    with filled(scene.home):
        scene.kill("dispatcher")
        scene.last(scene.times.outage_s)


@fault("Postgres connections cut between a commit and its answer", short=False)
def cut_after_commit(scene: Scene) -> None:
    """An API, a worker and a dispatcher whose statements are done and not answered, again and
    again: nothing may be written twice for it."""
    worker = ("-m", "workers", "--queues", "slm,slm-backfill", "--name", "slm-cut")
    with CuttingProxy.before(scene.postgres_socket, scene.seed) as proxy:
        real = quote(str(scene.postgres_socket.parent), safe="")
        url = str(scene.up.line["database_url"]).replace(real, quote(str(proxy.folder), safe=""))
        with (
            scene.second_api(DATABASE_URL=url),
            scene.process(*worker, DATABASE_URL=url),
            scene.process("-m", "workers.dispatcher", DATABASE_URL=url),
        ):
            wait_until(
                lambda: proxy.cuts >= LEAST_CUTS and scene.rows(ENDED_BY, "slm-cut"),
                PATIENCE_S,
                "jobs to end over connections that are cut",
                ROWS_EVERY_S,
            )
            proxy.cutting = False
