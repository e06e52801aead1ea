"""Processes of the release before, beside those of this one on a database of this one."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.breaking import fault
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.processes import previous_release
from tests.support.waiting import wait_until

ENDED_BY = """
SELECT 1 FROM attempts WHERE worker = %s AND verdict = 'passed' AND started_at > %s
OFFSET 4 LIMIT 1
"""


@fault(
    "processes of the release before beside new ones",
    missing=lambda _: previous_release.missing(),
    short=False,
)
def both_releases(scene: Scene) -> None:
    """Both take jobs, of callers of both; then the old ones stop."""
    with tempfile.TemporaryDirectory(prefix="tierline-before-") as folder, ExitStack() as stack:
        beside(scene, stack, previous_release.unpack(Path(folder)), "-before")
        ended_by(scene, "slm", "slm-before")


def beside(scene: Scene, stack: ExitStack, root: Path, ending: str) -> None:
    """An API, a dispatcher and workers of that release, whose names end so."""
    commands: list[tuple[str, ...]] = [
        ("-m", "workers", "--queues", queues, "--name", f"{name}{ending}")
        for name, queues in (
            ("slm", "slm,slm-backfill"),
            ("deeper", "deeper-analysis,deeper-analysis-backfill"),
            ("webhooks", "webhooks,maintenance"),
        )
    ]
    commands.append(("-m", "workers.dispatcher"))
    stack.enter_context(scene.processes(commands, root=root))
    stack.enter_context(scene.second_api(root=root))


def ended_by(scene: Scene, *workers: str) -> None:
    """Return when each of the workers has ended some jobs from now on."""
    ((now,),) = scene.rows("SELECT clock_timestamp()")
    for worker in workers:
        wait_until(
            lambda worker=worker: scene.rows(ENDED_BY, worker, now),
            PATIENCE_S,
            f"{worker} to end jobs",
            ROWS_EVERY_S,
        )
