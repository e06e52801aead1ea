"""Somebody holds a snapshot open, so that Postgres removes no row version that is younger."""

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.database import snapshots
from tests.support.processes.up import superuser_url
from tests.support.waiting import wait_until

ENDED_SINCE = "SELECT 1 FROM jobs WHERE completed_at > %s LIMIT 1"


@fault("a snapshot held open", others_unharmed=True)
def hold_snapshot(scene: Scene) -> None:
    """A transaction of a long report has read once, and stays open while jobs pass."""
    _hold(scene, snapshots.transaction)


@fault("a pg_dump with a slow reader", others_unharmed=True)
def dump_slowly(scene: Scene) -> None:
    """A backup holds its snapshot, and a lock on each table that only readers and writers pass."""
    _hold(scene, snapshots.pg_dump)


def _hold(scene: Scene, hold: snapshots.Hold) -> None:
    url = str(scene.up.line["database_url"])
    with hold(url, superuser_url(scene.up.home)) as holds:
        ((now,),) = scene.rows("SELECT clock_timestamp()")
        scene.last(scene.times.siege_s)
        wait_until(
            lambda: scene.rows(ENDED_SINCE, now),
            PATIENCE_S,
            "a job to end beside the snapshot",
            ROWS_EVERY_S,
        )
        assert holds(), "the snapshot was given up too early"
