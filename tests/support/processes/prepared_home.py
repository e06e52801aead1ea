"""A home with a migrated database: a copy of one that is made once in a run of the tests.

initdb, the migrations and their imports take 2 s of processor time, the copy 0.2 s. Tests of the
first start use an empty home.
"""

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MakeHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """Makes a home at a path, for `tierline up` or the embedded servers; returns the path."""
    base = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each of its processes a folder in the folder of the run.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    prepared = run / "prepared-home"
    with (run / "prepared-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prepared.exists():
            _prepare(run / f"prepared-home-{os.getpid()}").rename(prepared)

    def make(home: Path) -> Path:
        home.parent.mkdir(parents=True, exist_ok=True)
        # As an archive: PostgreSQL checks the owner and the mode of its files.
        subprocess.run(["cp", "-a", str(prepared), str(home)], check=True)
        return home

    return make


def _prepare(path: Path) -> Path:
    from tierline.stack.embedded import postgres
    from tierline.stack.embedded.servers import running_servers
    from tierline.storage.db import migrate

    with running_servers(path) as servers:
        migrate.upgrade(postgres.url(servers.home))
    for log in (path / "log").iterdir():
        log.unlink()
    return path
