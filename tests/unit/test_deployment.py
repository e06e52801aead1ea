"""The Procfile, the Compose file and the image agree: one list of processes, and each exists.

A container engine is not needed: the Compose file is held against its schema, and each command is
started with --help or without its settings, where it must say what it lacks.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tierline.stack.procfile import parse

ROOT = Path(__file__).parents[2]
PROCESSES = {entry.name: entry for entry in parse((ROOT / "Procfile").read_text())}
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
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


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_of_the_compose_file_exists_and_starts(name: str) -> None:
    words = COMPOSE["services"][name]["command"]
    program = (
        [sys.executable] if words[0] == "python" else [str(Path(sys.executable).parent / words[0])]
    )
    bare = {
        key: value
        for key, value in os.environ.items()
        if key not in {"DATABASE_URL", "REDIS_URL"} and not key.startswith("TIERLINE_")
    }
    help_word = [] if words[2:] == ["workers.flower"] else ["--help"]
    if words[2:] in (["workers.dispatcher"], ["workers.flower"]):
        help_word = []
    started = subprocess.run(
        [*program, *words[1:], *help_word],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = started.stdout + started.stderr
    assert "Traceback" not in said, said
    if help_word:
        assert started.returncode == 0, said
    else:
        assert started.returncode == 2, said
        assert "is not set" in said or "PASSWORD" in said


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
    for name in set(re.findall(r"\$\{(\w+)", text)):
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), name


def test_the_image_copies_what_there_is() -> None:
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            for source in sources:
                assert (ROOT / source).exists(), source
