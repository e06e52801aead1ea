"""The Procfile, the Compose file and the image agree: one list of processes, and each exists.

A container engine is not needed: the Compose file is checked against its schema.
tests/system/test_compose_commands.py starts its commands.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tierline.base.settings import Settings
from tierline.stack.processes import environment
from tierline.stack.processes.procfile import parse

ROOT = Path(__file__).parents[3]
PROCESSES = {entry.name: entry for entry in parse((ROOT / "Procfile").read_text())}
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
IMAGE = re.compile(r"[a-z0-9/._-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")  # a release, never a line
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PASSWORD = "sentinel-of-a-password_1"
PLACE = ("--host", "--port")


def without_place(words: list[str]) -> list[str]:
    """A command without where it listens, which a container has its own."""
    kept = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in PLACE:
            skip = True
        else:
            kept.append(word)
    return kept


def test_the_compose_file_fits_its_schema() -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_each_process_of_the_procfile_runs_in_a_container_by_the_same_command(name: str) -> None:
    here = without_place(shlex.split(PROCESSES[name].command))
    assert without_place(COMPOSE["services"][name]["command"]) == here


def test_the_compose_file_runs_no_process_that_the_procfile_lacks() -> None:
    extra = set(OURS) - set(PROCESSES)
    assert extra == {"migrate", "local-model"}
    assert COMPOSE["services"]["migrate"]["command"] == ["tierline", "db", "upgrade"]
    assert COMPOSE["services"]["local-model"]["profiles"] == ["local-model"]


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_service_gets_the_variables_that_its_process_reads_and_no_other(name: str) -> None:
    service = SERVICES[name]
    offered = {
        variable: "x"
        for each in SERVICES.values()
        for variable in each.get("environment", {})
        if variable != "TIERLINE_OPENAI_COMPATIBLE"
    }
    due = environment.of_process(service["command"], offered)
    assert service["environment"].keys() == due.keys()
    for variable in environment.secret_variables({}) & due.keys():
        given = service["environment"][variable]
        known_only = due[variable] == environment.PRESENT
        wanted = f":+{environment.PRESENT}" if known_only else ":-"
        assert given == f"${{{variable}{wanted}}}"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(PROCESSES)))
def test_no_other_service_gets_a_providers_key(name: str) -> None:
    held = SERVICES[name].get("environment", {}).keys() & environment.secret_variables({})
    assert held == ({"TIERLINE_LOCAL_API_KEY"} if name == "local-model" else set())


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_no_capability_and_cannot_write_its_files(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    if name not in OURS:
        assert service["user"] not in ("root", "0")


def test_our_image_runs_as_no_root() -> None:
    assert re.search(r"^USER tierline$", DOCKERFILE, re.MULTILINE)


def test_our_image_has_the_files_that_building_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    lines = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source.rstrip("/") for line in lines for source in line.split()}
    assert set(needed) <= copied


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_password_stands_on_a_command_line(name: str) -> None:
    service = SERVICES[name]
    words = [*service.get("command", []), *service.get("healthcheck", {}).get("test", [])]
    for variable in re.findall(r"\$\{(\w+)", " ".join(words).replace("$$", "")):
        raise AssertionError(f"{variable} stands in the arguments of {name}")


def test_images_are_named_by_release_and_may_be_others() -> None:
    named = re.search(
        r"^ARG PYTHON_IMAGE=(\S+)\nFROM \$\{PYTHON_IMAGE\}$", DOCKERFILE, re.MULTILINE
    )
    assert named
    images = [named[1]]
    for name, service in SERVICES.items():
        if name in OURS:
            (given,) = service["build"]["args"].values()
            assert given == f"${{PYTHON_IMAGE:-{named[1]}}}"
            images.append(service["image"])
        else:
            match = re.fullmatch(r"\$\{[A-Z]+_IMAGE:-(\S+)\}", service["image"])
            assert match, service["image"]
            images.append(match[1])
    for image in images:
        assert IMAGE.fullmatch(image), image


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", text):
        assert name[1].startswith(":?"), f"{name[0]} may not have a default"
        assert re.search(rf"^{name[0]}=$", example, re.MULTILINE), (
            f"{name[0]} is not in .env.example"
        )


def test_every_variable_of_the_compose_file_stands_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in set(re.findall(r"(?<!\$)\$\{(\w+)", text)):  # $${…} is the container's
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), name


def test_every_variable_of_the_example_reaches_a_container() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE):
        assert f"${{{name}" in text, f"{name} in .env has no effect"


def test_the_compose_file_has_the_settings_own_defaults() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    settings = Settings(database_url="postgresql://x", redis_url="redis://x", _env_file=None)
    for name, default in re.findall(r"\$\{TIERLINE_(\w+):-([0-9.]+)\}", text):
        assert getattr(settings, name.lower()) == float(default), name


def test_the_image_copies_what_there_is() -> None:
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            for source in sources:
                assert (ROOT / source).exists(), source
