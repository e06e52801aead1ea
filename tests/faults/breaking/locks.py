"""Strangers in the database that hold locks for too long, or in another order than the product."""

import contextlib
import time
from collections.abc import Iterator

from tests.faults.breaking import fault
from tests.faults.features import ECHO
from tests.faults.orders import ACCOUNTS
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.database.rows import Connection, add_job
from tests.support.waiting import wait_until

LONGER_THAN_LOCK_TIMEOUT_S = 6.5  # the product's statements wait 5 s for a lock
DEADLOCKS = 3
LOCK_CALLS = """
SELECT job_id FROM calls WHERE settled_at IS NULL AND booked_at > %s
    AND job_id IN (SELECT id FROM jobs WHERE status = 'in_progress')
FOR UPDATE SKIP LOCKED
"""
LOCK_JOBS = "SELECT 1 FROM jobs WHERE id = ANY(%s) FOR UPDATE"
WAITING = """
SELECT 1 FROM pg_stat_activity
WHERE application_name LIKE 'tierline-%%' AND %s = ANY(pg_blocking_pids(pid)) LIMIT 1
"""
COUNTED = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
HELD = """
SELECT j.claim_token FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.number = j.attempts
WHERE j.status = 'in_progress' AND a.worker = 'slm'
"""
STILL_HELD = "SELECT 1 FROM jobs WHERE status = 'in_progress' AND claim_token = ANY(%s)"
OF_ACCOUNT = """
SELECT a.id, f.version_id FROM accounts a CROSS JOIN features f WHERE a.name = %s AND f.name = %s
"""
RECOVERY_S = 10.0  # beyond a lease


@fault("a stranger's lock on one overdue job", others_unharmed=True)
def lock_overdue(scene: Scene) -> None:
    """It lasts longer than any statement of the product waits; nobody else is held up."""
    with _overdue_locked(scene):
        scene.last(max(scene.times.siege_s, LONGER_THAN_LOCK_TIMEOUT_S))


@fault("kill -9 of a worker beside a stranger's lock", loses_workers=True)
def kill_beside_lock(scene: Scene) -> None:
    """One overdue job is locked, for longer than any statement of the product waits; the worker's
    jobs are taken up as soon as without the lock."""
    with _overdue_locked(scene):
        until_s = time.monotonic() + LONGER_THAN_LOCK_TIMEOUT_S
        scene.busy("slm")
        held = [token for (token,) in scene.rows(HELD)]
        scene.kill("slm")
        wait_until(
            lambda: not scene.rows(STILL_HELD, held),
            scene.times.lease_s + RECOVERY_S,
            "the killed worker's jobs to be taken up",
            ROWS_EVERY_S,
        )
        scene.last(max(0.0, until_s - time.monotonic()))


@contextlib.contextmanager
def _overdue_locked(scene: Scene) -> Iterator[None]:
    """A job becomes overdue inside the block, and a stranger holds its row; it expires after."""
    ((account, version),) = scene.rows(OF_ACCOUNT, ACCOUNTS[0], ECHO)
    ((soon,),) = scene.rows("SELECT clock_timestamp() + interval '2 s'")  # once it is locked
    with scene.database() as stranger:
        overdue = add_job(stranger, account, version, run_after="2999-01-01Z", deadline_at=soon)
        with stranger.transaction():
            stranger.execute(LOCK_JOBS, ([overdue],))
            yield
    wait_until(
        lambda: scene.rows("SELECT 1 FROM jobs WHERE id = %s AND status = 'expired'", overdue),
        PATIENCE_S,
        "the overdue job to expire",
        ROWS_EVERY_S,
    )


@fault("the jobs' table locked by a stranger", short=False)
def lock_table(scene: Scene) -> None:
    """Nothing can be written to it for longer than a statement of the product waits."""
    with scene.database() as connection, connection.transaction():
        connection.execute("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE")
        scene.last(LONGER_THAN_LOCK_TIMEOUT_S)


@fault("deadlocks with a stranger")
def deadlock(scene: Scene) -> None:
    """It locks calls before their jobs; the product, whose order is the other, waits for it."""
    ((before,),) = scene.rows(COUNTED)
    with scene.superuser() as stranger:  # only a superuser sets deadlock_timeout
        # Who notices is ended: the product, which looks after a second.
        stranger.execute("SET deadlock_timeout = '60s'")
        # A meeting that comes to nothing, since the product looked before the circle closed, is
        # made again.
        wait_until(
            lambda: _meet(scene, stranger) and scene.rows(COUNTED)[0][0] >= before + DEADLOCKS,
            PATIENCE_S,
            f"{DEADLOCKS} deadlocks",
            ROWS_EVERY_S,
        )


def _meet(scene: Scene, stranger: Connection) -> bool:
    """Lock calls, wait until a worker waits for one of them, and ask for their jobs."""
    # Older calls may be those of a worker that is gone, for which nobody would wait.
    ((now,),) = scene.rows("SELECT clock_timestamp()")
    with stranger.transaction():
        jobs = wait_until(
            lambda: stranger.execute(LOCK_CALLS, (now,)).fetchall(),
            PATIENCE_S,
            "running jobs to be locked",
        )
        wait_until(
            lambda: scene.rows(WAITING, stranger.info.backend_pid),
            PATIENCE_S,
            "the product to wait for them",
            ROWS_EVERY_S,
        )
        stranger.execute(LOCK_JOBS, ([job_id for (job_id,) in jobs],))
    return True
