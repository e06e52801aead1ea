"""The two distributions of this repository: what is in their wheels, and what they need."""

import json
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.support.fake_servers.model_server import ModelServer
from tests.support.processes.installed import install
from tests.support.processes.up import environment, run_up

ROOT = Path(__file__).parents[2]


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


def test_the_products_wheel_has_what_it_reads_beside_its_modules(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["tierline"]) as files:
        names = set(files.namelist())
        assert files.read("tierline/stack/Procfile") == (ROOT / "Procfile").read_bytes()
    assert {
        f"tierline/examples/{path.name}" for path in (ROOT / "examples/features").iterdir()
    } == {name for name in names if name.startswith("tierline/examples/")}
    versions = {f"migrations/versions/{one.name}" for one in ROOT.glob("migrations/versions/*.py")}
    assert versions <= names


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `python` of an environment with both wheels."""
    return install(wheels.values(), tmp_path_factory.mktemp("installed"))


def run(python: Path, folder: Path, *arguments: str) -> str:
    """What `tierline` of that environment prints in an empty folder."""
    ran = subprocess.run(
        [python.with_name("tierline"), *arguments],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_command_runs_from_the_wheels_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    assert run(installed, tmp_path, "--version").startswith("tierline ")
    where = "import tierline, tierline_client, migrations; print(tierline.__file__)"
    ran = subprocess.run(
        [installed, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(ran.stdout.strip()).is_relative_to(installed.parents[1])
    examples = json.loads(run(installed, tmp_path, "features", "examples", "--json"))["data"]
    assert [one["name"] for one in examples] == sorted(
        path.stem for path in (ROOT / "examples" / "features").iterdir()
    )
    run(installed, tmp_path, "features", "examples", "ticket-triage")
    assert "is valid" in run(installed, tmp_path, "features", "validate", "ticket-triage.yaml")


@pytest.mark.nightly  # half a minute; the test above is its short form
def test_the_product_comes_up_from_the_wheels_and_answers_a_job(
    installed: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    home = tmp_path / "home"
    with ModelServer() as model:
        model.answer = lambda _: '{"invoice_number": "A-17", "total": 12.5, "currency": "EUR"}'
        env = {
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "sk-nobody",
            "TIERLINE_HOME": str(home),
        }
        with run_up(home, "--no-flower", env=env, program=installed.with_name("tierline")):
            file = empty / "invoice-fields.yaml"
            run(installed, empty, "features", "examples", "invoice-fields")
            text = re.sub(r"models: \[[^]]*\]", "models: [openai:small]", file.read_text())
            file.write_text(text)
            run(installed, empty, "features", "apply", str(file), "--home", str(home))
            words = "Invoice A-17, total 12.50 EUR"
            job = json.loads(
                run(
                    *(installed, empty, "jobs", "submit", "invoice-fields", "--input"),
                    *(json.dumps({"text": words}), "--wait", "60", "--json", "--home", str(home)),
                )
            )
            assert job["status"] == "completed"
            assert job["output"]["invoice_number"] == "A-17"
    assert not list(empty.glob("*.log"))


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
