"""Strangers in the database that hold locks for too long, or in another order than the product."""

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
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
    with scene.database() as stranger:
        # Who notices is ended: the product, which looks after a second.
        stranger.execute("SET deadlock_timeout = '60s'")
        for _ in range(DEADLOCKS):
            # Older calls may be those of a worker that is gone, for which nobody would wait.
            ((now,),) = scene.rows("SELECT clock_timestamp()")
            with stranger.transaction():
                jobs = wait_until(
                    lambda now=now: stranger.execute(LOCK_CALLS, (now,)).fetchall(),
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
    wait_until(lambda: scene.rows(COUNTED)[0][0] > before, PATIENCE_S, "a deadlock", ROWS_EVERY_S)
