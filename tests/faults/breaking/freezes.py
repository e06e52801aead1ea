"""Processes that stand still for longer than their lease, and then go on as if nothing had been."""

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.waiting import wait_until

LOST = (
    "SELECT a.job_id, a.number FROM attempts a"
    " WHERE a.verdict = 'worker_lost' AND a.worker = 'slm' AND a.started_at > %s"
)
"""Begun since then: what a worker killed just before had begun is found lost now, too, and nobody
will ever book it."""
UNSETTLED = (
    "SELECT c.job_id, c.attempt FROM calls c WHERE c.settled_at IS NULL AND c.cost_usd IS NULL"
)


@fault("SIGSTOP of a worker beyond its lease, then SIGCONT", loses_workers=True)
def freeze_worker(scene: Scene) -> None:
    """Another worker takes its jobs over; its late answers must not win, and must be booked."""
    other = ("-m", "workers", "--queues", "slm,slm-backfill", "--name", "slm-other")
    with scene.process(*other):
        wait_until(
            lambda: scene.rows("SELECT 1 FROM worker_beats WHERE name = 'slm-other'"),
            PATIENCE_S,
            "the other worker to beat",
        )
        ((began,),) = scene.rows("SELECT clock_timestamp()")
        scene.busy("slm")
        with scene.frozen(scene.pid("slm")):
            wait_until(
                lambda: scene.rows(LOST, began),
                PATIENCE_S,
                "the frozen worker's leases to be found lost",
                ROWS_EVERY_S,
            )
        late = set(scene.rows(LOST, began))
        wait_until(
            lambda: not late & set(scene.rows(UNSETTLED)),
            PATIENCE_S,
            "the late answers to be booked",
            ROWS_EVERY_S,
        )


@fault("SIGSTOP of the dispatcher beyond a lease, then SIGCONT")
def freeze_dispatcher(scene: Scene) -> None:
    """It has not watched meanwhile: nobody may lose a lease by it."""
    with scene.frozen(scene.pid("dispatcher")):
        scene.last(scene.times.lease_s + 0.5)


@fault("SIGSTOP of the webhooks worker beyond its lease, then SIGCONT", short=False)
def freeze_webhooks(scene: Scene) -> None:
    """What it was about to deliver is taken back; it may come twice, and never not at all."""
    with scene.frozen(scene.pid("webhooks")):
        scene.last(scene.times.lease_s + 1.5)
