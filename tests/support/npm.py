"""Programs for Node with packages of npm, in a folder of the test's own."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_MISSING = [name for name in ("node", "npm") if shutil.which(name) is None]

needs_npm = pytest.mark.skipif(bool(_MISSING), reason=f"not installed here: {', '.join(_MISSING)}")


def install(folder: Path, *packages: str) -> None:
    """Installs them into the folder, with their versions. No script of theirs is run."""
    (folder / "package.json").write_text('{"private": true}')
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
    run(("npm", "install", *quiet, *packages), folder)


def run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> str:
    """What the command printed. Fails with all that it printed. `more`: environment variables."""
    done = attempt(command, folder, more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def attempt(
    command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
