"""An environment with wheels of this repository, without an index and without a network.

The dependencies are those of the tests' own environment: a path file makes them importable. Its
editable installs are not, because path files of that folder are not read.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path


def install(wheels: Iterable[Path], folder: Path) -> Path:
    """The environment's `python`. Raises AssertionError if the wheels' needs are not met."""
    uv = Path(sys.executable).with_name("uv")
    environment = folder / "venv"
    files = list(wheels)
    python = environment / "bin" / "python"
    links = [part for file in files for part in ("--find-links", str(file.parent))]
    names = [file.name.split("-")[0].replace("_", "-") for file in files]
    _run(uv, "venv", "--quiet", "--offline", "--python", sys.executable, environment)
    _run(
        *(uv, "pip", "install", "--quiet", "--offline", "--no-index", *links, "--no-deps"),
        *("--python", python, *names),
    )
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(python, "-c", NEEDS, *names)
    return python


NEEDS = """
import sys
from importlib.metadata import version, requires
from packaging.requirements import Requirement
for name in sys.argv[1:]:
    for text in requires(name) or []:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            assert need.specifier.contains(version(need.name), prereleases=True), text
"""


def _run(*command: object) -> None:
    ran = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
