"""The code of the release before, so that its processes can run beside those of this one.

It runs in this checkout's virtual environment: its own locks would have to be fetched.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

from tests.support.processes.started import ROOT

COMMIT = "3fc0ba9"  # the last of release 0.1.0: its database is at revision 0025


def missing() -> str | None:
    """Why the release cannot be had; None when it can."""
    result = _git("cat-file", "-e", f"{COMMIT}^{{commit}}")
    if result.returncode == 0:
        return None
    return f"the release before, commit {COMMIT}, is not in this clone: git fetch --unshallow"


def unpack(folder: Path) -> Path:
    """Write the release's files into an empty folder, which is returned.

    Raises AssertionError where `missing` returns a reason.
    """
    archive = _git("archive", "--format=tar", COMMIT)
    assert archive.returncode == 0, missing() or archive.stderr.decode()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def python_path(root: Path) -> dict[str, str]:
    """The environment in which a process runs the code of that checkout, wherever it is started."""
    return {"PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
