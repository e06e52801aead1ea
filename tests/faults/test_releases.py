"""An upgrade under load: from the release before, in the order that the README says."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.breaking import Fault
from tests.faults.breaking.releases import beside, ended_by
from tests.faults.rounds import run_round
from tests.faults.scene import SHORT, Scene
from tests.support.processes import previous_release
from tests.support.processes.started import ROOT
from tierline.storage.db import migrate, revisions

SEED = 20_261_125


@pytest.mark.timeout(300)
@pytest.mark.skipif(previous_release.missing() is not None, reason=str(previous_release.missing()))
def test_nothing_is_lost_in_an_upgrade_while_jobs_run(tmp_path: Path) -> None:
    before = previous_release.unpack(tmp_path / "before")

    def upgrade(scene: Scene) -> None:
        """Migrate beneath the old processes, let both take jobs, then let the new ones go on."""
        assert migrate.upgrade(str(scene.up.line["database_url"])) == ("0025", revisions.head())
        with ExitStack() as stack:
            beside(scene, stack, ROOT, "-new")
            ended_by(scene, "slm", "slm-new")
        assert scene.up.stop() == 0
        scene.release = ROOT
        scene.start_up()
        ended_by(scene, "slm")

    fault = Fault("an upgrade", upgrade, loses_workers=False, short=False, missing=lambda _: None)
    with Scene(tmp_path, SHORT, SEED, release=before, flower=False) as scene:
        outcome = run_round(scene, "r1", [fault], per_s=3.0)
    books = outcome.balance
    assert books.problems == []
    assert (books.lost, books.repeated, books.apart_usd) == (0, 0, 0)
    assert books.jobs > 15
