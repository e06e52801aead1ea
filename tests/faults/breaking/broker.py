"""A broker that forgets, goes away, stands still or has no room."""

import shutil

from tests.faults.breaking import fault
from tests.faults.scene import Scene
from tests.faults.states import moved


@fault("FLUSHALL of the broker")
def flush(scene: Scene) -> None:
    with scene.broker() as broker:
        for _ in range(5):
            broker.flushall()
            scene.last(0.2)


@fault("broker away for a while")
def away(scene: Scene) -> None:
    """Its socket is gone and every connection cut, as if it were stopped."""
    with scene.broker() as broker:
        broker.ping()  # connected, before there is nothing to connect to
        with moved(scene.broker_socket):
            for kind in ("normal", "pubsub"):
                broker.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            scene.last(scene.times.broker_outage_s)


@fault("broker restarted without its data")
def emptied(scene: Scene) -> None:
    """Worse than without its last second: it comes back with nothing."""
    shutil.rmtree(scene.home / "valkey" / "appendonlydir")
    scene.kill("valkey")


@fault("broker frozen with its port open")
def frozen(scene: Scene) -> None:
    with scene.frozen(scene.pid("valkey")):
        scene.last(scene.times.broker_outage_s)


@fault("broker out of memory")
def full(scene: Scene) -> None:
    """It refuses every write, as one whose memory is at its limit does."""
    with scene.broker() as broker:
        broker.config_set("maxmemory", 1)
        try:
            scene.last(scene.times.broker_outage_s)
        finally:
            broker.config_set("maxmemory", 0)
