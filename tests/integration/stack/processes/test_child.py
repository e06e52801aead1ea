"""One child of a home, on a disk that does not take what is to be written."""

import sys
from pathlib import Path

from tierline.stack.home import open_home
from tierline.stack.processes.child import Child, Program
from tierline.stack.processes.identity import records
from tierline.stack.processes.logs import LogPump


def test_a_child_that_cannot_be_noted_runs_and_is_noted_as_soon_as_it_can(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    aside = home.run.rename(home.path / "aside")  # as on a full disk: an OSError for each write
    pump = LogPump()
    child = Child(
        Program("idle", [sys.executable, "-c", "import time; time.sleep(3600)"]), home, pump
    )
    try:
        child.start()
        assert child.running()
        aside.rename(home.run)
        assert child.running()
        assert dict(records(home.run)) == {"idle": child.process}
    finally:
        child.kill()
        pump.close()
    assert dict(records(home.run)) == {}
