"""What holds for every command: groups, --json, exit codes, completion; and docs/cli.md says it."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tierline.cli.main import COMPLETES as VARIABLE
from tierline.cli.main import ENTRIES, GROUPS, app

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "cli.md").read_text()
PRINT_FILES = {("features", "init"), ("features", "schema"), ("completion",)}
BEFORE = {"distil"}  # names of an earlier release


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its path."""
    root: Any = typer.main.get_command(app)
    for name in ENTRIES:
        yield from _below(root.get_command(None, name), (name,))


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
    for name, one in (inner or {}).items():
        yield from _below(one, (*path, name))


ALL = dict(commands())


def test_every_command_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(set(ENTRIES) - BEFORE)


def test_the_documents_table_has_the_groups_of_the_help() -> None:
    for group, names in GROUPS.items():
        (row,) = re.findall(rf"^\| {group} \| (.*) \|$", DOC, re.MULTILINE)
        assert re.findall(r"`([^`]+)`", row) == list(names)


@pytest.mark.parametrize("path", sorted(ALL), ids=" ".join)
def test_every_command_has_json_unless_it_prints_a_file(path: tuple[str, ...]) -> None:
    options = {option for one in ALL[path].params for option in one.opts}
    assert ("--json" in options) == (path not in PRINT_FILES)
    assert ALL[path].help


@pytest.mark.parametrize("path", sorted(ALL), ids=" ".join)
def test_every_argument_has_a_name_for_the_help(path: tuple[str, ...]) -> None:
    arguments = [one for one in ALL[path].params if one.param_type_name == "argument"]
    assert [one.name for one in arguments if not one.metavar] == []


def test_every_exit_code_is_one_that_the_document_lists() -> None:
    documented = {int(code) for code in re.findall(r"^\| exit code (\d+) \|", DOC, re.MULTILINE)}
    used = set()
    for path in (ROOT / "src" / "tierline" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit"):
                inner = [one for arg in node.args for one in ast.walk(arg)]
                used |= {
                    one.value
                    for one in inner
                    if isinstance(one, ast.Constant) and type(one.value) is int
                }
    assert documented == {0, 1, 2, 3, 130}
    assert used <= documented


@pytest.mark.parametrize("arguments", [["batches", "get"], ["eval", "list"], ["login", "nowhere"]])
def test_a_command_that_is_invalid_ends_with_2_and_without_output(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")


def run(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "tierline", *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        env=clean | env,
        check=False,
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_is_printed(shell: str) -> None:
    ran = run("completion", shell)
    assert ran.returncode == 0
    assert VARIABLE in ran.stdout


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("tierline ba", ["backfill", "batches"]),
        ("tierline batches re", ["resume"]),
        ("tierline jobs list --dr", ["--drafts"]),
    ],
)
def test_commands_and_options_are_completed(words: str, completions: list[str]) -> None:
    count = str(len(words.split()) - 1)
    ran = run(**{VARIABLE: "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count})
    assert ran.stdout.split() == completions


def test_completing_a_command_imports_none() -> None:
    code = (
        "import os, sys\n"
        f"os.environ.update({{'{VARIABLE}': 'complete_bash', 'COMP_WORDS': 'tierline j',"
        " 'COMP_CWORD': '1'})\n"
        "from tierline.cli.main import run\nrun([])\n"
        "print([name for name in sys.modules if name.startswith('tierline.cli.')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    modules = ran.stdout.decode().splitlines()[-1]
    assert "tierline.cli.run" not in modules


@pytest.mark.parametrize(
    ("old", "new"),
    re.findall(
        r"^\| `tierline (\w+) FEATURE[^|]*\| `tierline ([a-z ]+) FEATURE", DOC, re.MULTILINE
    ),
)
def test_a_name_of_before_and_its_name_now_are_commands(old: str, new: str) -> None:
    assert (old,) in ALL or (old, "run") in ALL
    assert tuple(new.split()) in ALL


def test_login_checks_the_key_and_stores_it(tmp_path: Path) -> None:
    from tests.support.fake_servers.scripted_api import scripted_api

    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    with scripted_api() as server:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}

        def login(key: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, "-m", "tierline", "login", server.place.url, "--json"],
                input=f"{key}\n",
                capture_output=True,
                text=True,
                timeout=60,
                env=clean | config,
                check=False,
            )

        refused = login("another")
        assert refused.returncode == 1
        assert "rejects this key" in refused.stderr
        assert not (tmp_path / "tierline").exists()
        made = login(server.key)
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["profile"] == "default"
        assert server.key not in made.stdout + made.stderr
        server.script = [(200, {"data": [], "next_cursor": None})]
        listed = run("jobs", "list", **config)
        assert (listed.returncode, listed.stdout) == (0, "no jobs\n")
        unknown = run("--profile", "live", "jobs", "list", **config)
        assert unknown.returncode == 2
        assert "(there: default)" in unknown.stderr
