"""The two distributions of this repository: what is in their wheels, and what they need."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the name of the distribution."""
    found = {}
    for name, folder in (("tierline", ROOT), ("tierline-client", ROOT / "client")):
        out = tmp_path_factory.mktemp(name)
        built = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        (found[name],) = out.glob("*.whl")
    return found


def packages(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as files:
        return {name.split("/")[0] for name in files.namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(files.read(name))


def test_each_wheel_holds_its_own_packages(wheels: dict[str, Path]) -> None:
    assert packages(wheels["tierline"]) == {"tierline", "api", "workers", "migrations"}
    assert packages(wheels["tierline-client"]) == {"tierline_client"}


def test_the_product_needs_the_client_and_the_client_three_libraries(
    wheels: dict[str, Path],
) -> None:
    needs = metadata(wheels["tierline"]).get_all("Requires-Dist") or []
    assert "tierline-client<0.3,>=0.2" in needs
    assert metadata(wheels["tierline-client"]).get_all("Requires-Dist") == [
        *("httpx<0.29,>=0.28", "pydantic<3,>=2.11", "standardwebhooks<2,>=1.1")
    ]


def test_the_client_is_installed_from_its_folder_and_never_looked_for_in_an_index() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        assert "tierline" not in lock.read_text(), lock.name
    editable = "--editable ./client --editable ."
    assert editable in (ROOT / "Makefile").read_text()
    assert editable in (ROOT / "Dockerfile").read_text()
