"""Values of options: the same as typer reads them, without pydantic for plain ones."""

import os
import subprocess
import sys
from typing import Annotated, Any

import pytest
import typer

from tierline.cli.shared.options import command_group
from tierline.cli.shared.values import read_values

SLOW = ("pydantic", "psutil", "rich", "pygments", "httpx._main")  # to import


def command(kind: Any, option: Any, default: Any = None) -> Any:
    """A command that returns its only option."""

    def run(value: Any = default) -> Any:
        return repr(value)

    run.__annotations__ = {"value": Annotated[kind, option]}
    group = command_group("A command.")
    group.command("run")(run)
    return typer.main.get_command(group)


def read(kind: Any, option: Any, text: str, *, ours: bool) -> str:
    """What a command reads, or its error."""
    made = command(kind, option)
    if ours:
        read_values(made)
    try:
        return str(made(args=["--value", text], standalone_mode=False))
    except typer.BadParameter as error:
        return error.format_message()


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (str, typer.Option()),
        (int, typer.Option()),
        (int, typer.Option(min=1, max=100)),
        (int, typer.Option(min=1, max=100, clamp=True)),
        (float, typer.Option(min=0.5)),
        (list[str], typer.Option()),
        (str, typer.Option(parser=str.upper)),
    ],
)
@pytest.mark.parametrize("text", ["12", "0", "100", "101", "-1", "1.5", "x", "", "9" * 30, "007"])
def test_a_value_is_read_as_typer_reads_it(kind: Any, option: Any, text: str) -> None:
    ours, typers = (read(kind, option, text, ours=one) for one in (True, False))
    if typers.startswith("Invalid value for"):
        assert ours.startswith("Invalid value for '--value': must be ")
        assert ours.endswith(f", not {text!r}")
    else:
        assert ours == typers


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (int, "x", "must be a whole number, not 'x'"),
        (int, "1.5", "must be a whole number, not '1.5'"),
        (float, "x", "must be a number, not 'x'"),
        (int, "0", "must be at least 1, not '0'"),
        (float, "200", "must be at most 100.0, not '200'"),
    ],
)
def test_what_is_wrong_with_a_number_is_said_in_our_words(
    kind: Any, text: str, message: str
) -> None:
    assert read(kind, typer.Option(min=1, max=100), text, ours=True).endswith(f": {message}")


@pytest.mark.parametrize("text", ["1_0", "١٢", "1_0.5"])
@pytest.mark.parametrize("kind", [int, float])
def test_a_number_has_ascii_digits_only(kind: Any, text: str) -> None:
    assert "Invalid value for" in read(kind, typer.Option(), text, ours=True)


@pytest.mark.parametrize("default", [1, 1.0])
def test_a_default_is_of_the_options_type(default: float) -> None:
    made = command(float, typer.Option(min=0.2), default)
    read_values(made)
    assert made(args=[], standalone_mode=False) == "1.0"


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "get", "01932c07-209c-7d5e-8d44-4ab3a7f2b4c1"],
        ["jobs", "get", "01932c07-209c-7d5e-8d44-4ab3a7f2b4c1", "--attempts", "--json"],
        ["jobs", "list", "--limit", "5", "--status", "failed"],
        ["queues"],
    ],
    ids=" ".join,
)
def test_a_command_that_asks_the_api_imports_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from tierline.cli.main import run, skip_httpx_command\n"
        "skip_httpx_command()\n"
        f"code = run({arguments!r})\n"
        f"print(*(name for name in {SLOW!r} if sys.modules.get(name)))\n"
        "sys.exit(code)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TIERLINE_URL": "http://127.0.0.1:1", "TIERLINE_API_KEY": "tl_x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "nothing answers" in ended.stderr
    assert ended.stdout.split() == []
    assert ended.returncode == 1
