"""Processes that die in the middle of what they do, and workers that are told to stop."""

import os
import signal

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, Scene
from tests.support.waiting import wait_until

STOPPED = "slm ended with exit code 0"


@fault("kill -9 of the api")
def kill_api(scene: Scene) -> None:
    scene.kill("api")


@fault("kill -9 of the dispatcher")
def kill_dispatcher(scene: Scene) -> None:
    scene.kill("dispatcher")


@fault("kill -9 of the first tier's worker", loses_workers=True)
def kill_slm(scene: Scene) -> None:
    scene.busy("slm")
    scene.kill("slm")


@fault("kill -9 of the deeper worker", loses_workers=True)
def kill_deeper(scene: Scene) -> None:
    scene.busy("deeper-analysis")
    scene.kill("deeper")


@fault("kill -9 of the webhooks worker")
def kill_webhooks(scene: Scene) -> None:
    scene.kill("webhooks")


@fault("kill -9 of the quarantine worker", loses_workers=True)
def kill_quarantine(scene: Scene) -> None:
    scene.kill("quarantine")


@fault("kill -9 of Flower")
def kill_flower(scene: Scene) -> None:
    scene.kill("flower")


@fault("kill -9 of the broker")
def kill_broker(scene: Scene) -> None:
    scene.kill("valkey")


@fault("kill -9 of Postgres")
def kill_postgres(scene: Scene) -> None:
    scene.kill("postgres")


@fault("kill -9 of up, then up again", loses_workers=True)
def kill_up(scene: Scene) -> None:
    scene.busy("slm")
    scene.up.process.kill()
    scene.up.process.wait()
    scene.start_up()


@fault("SIGTERM of up, then up again", short=False)
def stop_up(scene: Scene) -> None:
    """All of it stops in order: calls end, and no cost is unknown."""
    scene.busy("slm")
    assert scene.up.stop() == 0
    scene.start_up()


@fault("SIGTERM of a worker in the middle of calls")
def stop_worker(scene: Scene) -> None:
    """Its calls end, and it ends with exit code 0: no cost may be unknown after this."""
    scene.busy("slm")
    _ended_well(scene, 1)


@fault("SIGTERM of a worker, twice", loses_workers=True)
def stop_worker_at_once(scene: Scene) -> None:
    """It gives its jobs back and leaves at once, with exit code 0."""
    scene.busy("slm")
    _ended_well(scene, 2)


def _ended_well(scene: Scene, signals: int) -> None:
    before = scene.up.stderr().count(STOPPED)
    pid = scene.pid("slm")
    for _ in range(signals):
        os.kill(pid, signal.SIGTERM)
        scene.last(0.02)  # two signals at the same moment are one to the kernel
    wait_until(
        lambda: scene.up.stderr().count(STOPPED) > before,
        PATIENCE_S,
        "the worker to end with exit code 0",
    )
