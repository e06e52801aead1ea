"""Ending what an earlier server of a home left, among processes that come and go."""

from pathlib import Path

import psutil
import pytest

from tierline.stack.embedded import postgres
from tierline.stack.home import open_home


class Ending:
    """A process that is gone before it is asked; psutil passes some of the errors of /proc on."""

    def cwd(self) -> str:
        raise FileNotFoundError("/proc/1/cwd")


def test_a_process_that_ends_meanwhile_does_not_stop_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_home(tmp_path / "home")
    home.postgres.mkdir()
    lock = home.postgres / "postmaster.pid"
    lock.touch()
    monkeypatch.setattr(psutil, "process_iter", lambda: [Ending()])
    postgres.end_left_over(home)
    assert not lock.exists()
    home.sockets.rmdir()
