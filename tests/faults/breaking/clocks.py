"""Processes whose clocks are wrong: an hour back, or a day forward.

Their monotonic clocks are left alone, as on a machine whose time was set wrong. The library that
does it is a development tool, loaded into the processes here and nowhere else.
"""

import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.processes.up import environment
from tests.support.waiting import wait_until

ENDED_BY = "SELECT 1 FROM attempts WHERE worker = %s AND verdict = 'passed' OFFSET 1 LIMIT 1"
DELIVERED = "SELECT count(*) FROM deliveries WHERE status = 'delivered'"
LEAST_DELIVERED = 2
HOUR_S = 3600.0


def library() -> Path | None:
    """The shared library that tells a process another time."""
    spec = find_spec("libfaketime") if sys.platform == "linux" else None
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    return next((found for folder in folders for found in Path(folder).rglob("*.so.1")), None)


def told(apart: str) -> dict[str, str]:
    """The environment of a process whose clock is that far from the true one."""
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME": apart,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@cache
def _works() -> bool:
    """Whether the library, which comes built for one kind of machine, does its work on this."""
    says = [sys.executable, "-c", "import time; print(time.time())"]
    ran = subprocess.run(says, env=environment(told("-1h")), capture_output=True, check=False)
    return ran.returncode == 0 and time.time() - float(ran.stdout) > HOUR_S - 60


def missing(_: Scene) -> str | None:
    if library() is None:
        return "libfaketime is not installed, or this is not Linux"
    return None if _works() else "libfaketime does not work on this machine"


@fault("clocks an hour back", missing=missing)
def hour_back(scene: Scene) -> None:
    wrong_clocks(scene, "-1h")


@fault("clocks a day forward", missing=missing, short=False)
def day_forward(scene: Scene) -> None:
    wrong_clocks(scene, "+1d")


def wrong_clocks(scene: Scene, apart: str) -> None:
    """One of each process is told a time that far from the true one; the others know it.

    What it decides must not be by its own clock: no lease is lost, nothing expires, nothing waits
    for a day, and webhooks are signed with a time that their receivers take.
    """
    names = {
        f"slm{apart}": "slm,slm-backfill",
        f"deeper{apart}": "deeper-analysis,deeper-analysis-backfill",
        f"webhooks{apart}": "webhooks,maintenance",
    }
    commands: list[tuple[str, ...]] = [
        ("-m", "workers", "--queues", queues, "--name", name) for name, queues in names.items()
    ]
    commands.append(("-m", "workers.dispatcher"))
    with scene.processes(commands, **told(apart)), scene.second_api(**told(apart)):
        for name in (f"slm{apart}", f"deeper{apart}"):
            wait_until(
                lambda name=name: scene.rows(ENDED_BY, name),
                PATIENCE_S,
                f"{name} to end jobs",
                ROWS_EVERY_S,
            )
        # The dispatcher with the right clock is gone for a while, and so is who delivers.
        with scene.frozen(scene.pid("dispatcher")), scene.frozen(scene.pid("webhooks")):
            ((before,),) = scene.rows(DELIVERED)
            wait_until(
                lambda: scene.rows(DELIVERED)[0][0] >= before + LEAST_DELIVERED,
                PATIENCE_S,
                f"webhooks{apart} to deliver",
                ROWS_EVERY_S,
            )
        scene.last(scene.times.lease_s)
