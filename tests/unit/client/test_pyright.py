"""Pyright, strict, over the Python client: for each Python that it promises, and its public types.

`make clients` installs it, in an environment of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[3] / "client"
PYRIGHT = Path(sys.prefix) / "clients" / "bin" / "basedpyright"

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not PYRIGHT.exists(), reason="`make clients` installs it"),
]


def check(folder: Path, source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Pyright, strict, over `source`, with the packages of this environment."""
    config = {
        "include": [str(source)],
        "typeCheckingMode": "strict",
        "extraPaths": [str(CLIENT)],
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    return pyright(folder, "--project", str(folder), *options)


def pyright(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PYRIGHT), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_nothing_is_found_in_the_client(version: str, tmp_path: Path) -> None:
    done = check(tmp_path, CLIENT / "tierline_client", "--pythonversion", version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors, 0 warnings" in done.stdout


def test_what_is_wrong_in_a_program_is_found(tmp_path: Path) -> None:
    """The checks above can fail, and a program sees the types of an output."""
    (tmp_path / "program.py").write_text(
        "from pydantic import BaseModel\n"
        "from tierline_client import Tierline\n\n\n"
        "class Invoice(BaseModel):\n    total: float\n\n\n"
        "with Tierline() as client:\n"
        '    job = client.jobs.submit("invoice-fields", {}, output_type=Invoice)\n'
        "    text: str = job.wait().result().total\n"
        "    job.wait(timeout='soon')\n"
    )
    done = check(tmp_path, tmp_path / "program.py")
    assert "2 errors" in done.stdout, done.stdout
    assert '"float" is not assignable to "str"' in done.stdout


def test_every_public_type_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (
        "--verifytypes",
        "tierline_client",
        "--ignoreexternal",
        "--pythonpath",
        sys.executable,
    )
    monkeypatch.setenv("PYTHONPATH", str(CLIENT))  # an editable installation is not looked through
    done = pyright(tmp_path, *options)
    assert "Type completeness score: 100%" in done.stdout, done.stdout + done.stderr
