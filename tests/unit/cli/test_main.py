"""How every command ends: its exit code, and what stands on stderr."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tierline.cli import main


def tierline(
    *arguments: str, env: dict[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process, as a person does."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "tierline", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        env=clean | (env or {}),
        check=False,
    )


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    names = "up features jobs backfill queues keys people accounts models db"
    for name in names.split():
        assert f"\n  {name} " in out


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ("--home d up", "up --home d"),
        ("--home=d jobs list", "jobs list --home=d"),
        ("--profile p --home d jobs get x", "--profile p jobs get x --home d"),
        ("--home d jobs get -- x", "jobs get --home d -- x"),
        ("up --home d", "up --home d"),
        ("--home c up --home d", "up --home d"),
        ("--home=c --home d up", "up --home=c --home d"),
        ("--home up", "--home up"),
        ("--home", "--home"),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_a_home_before_the_command_counts_as_behind_it(given: str, run: str) -> None:
    assert main.home_behind_command(given.split()) == run.split()


def test_help_imports_no_client_and_no_database() -> None:
    code = (
        "import sys\nfrom tierline.cli.main import run\nrun(['--help'])\n"
        "heavy = {'httpx', 'sqlalchemy', 'psycopg', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == b"[]"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["jobs", "nonsense"], ["jobs", "submit"], ["jobs", "list", "--limit", "many"]],
)
def test_a_command_that_is_not_right_as_written_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    assert "Error:" in capsys.readouterr().err


@pytest.mark.parametrize(("wrong", "meant"), [("job", "jobs"), ("evl", "eval"), ("key", "keys")])
def test_a_command_that_is_nearly_right_is_told_which_was_meant(
    wrong: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([wrong, "list"]) == 2
    assert f"No such command '{wrong}'. Did you mean '{meant}'?" in capsys.readouterr().err


def test_a_home_that_cannot_be_made_says_what_was_to_be_made_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["up", "--home", "/proc/x"]) == 2
    err = capsys.readouterr().err
    assert "--home /proc/x: the folder for data, logs and keys cannot be made there" in err
    assert "choose a folder" in err


def test_a_server_that_does_not_answer_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    ran = tierline(
        "jobs", "list", env={"TIERLINE_URL": "http://127.0.0.1:9", "TIERLINE_API_KEY": "k"}
    )
    assert ran.returncode == 1
    assert ran.stdout == b""
    assert ran.stderr.count(b"\n") == 1
    assert b"http://127.0.0.1:9" in ran.stderr
    assert b"tierline up" in ran.stderr


def test_without_an_address_or_a_running_up_it_says_what_to_do(tmp_path: Path) -> None:
    ran = tierline("jobs", "list", "--home", str(tmp_path / "none"))
    assert ran.returncode in (1, 2)
    assert b"tierline up" in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_without_a_database_url_upgrade_says_which_variable() -> None:
    env = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    ran = subprocess.run(
        [sys.executable, "-m", "tierline", "db", "upgrade"],
        capture_output=True,
        timeout=60,
        env=env,
        check=False,
    )
    assert ran.returncode == 2
    assert b"DATABASE_URL" in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    ran = tierline(
        "db", "upgrade", env={"DATABASE_URL": f"postgresql://x@/x?host={tmp_path}&port=1"}
    )
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n") == 1
    assert b"does not answer" in ran.stderr


def test_a_reader_that_goes_away_early_hears_no_complaint(tmp_path: Path) -> None:
    # The reading end is closed before anything is written.
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "tierline", "features", "init", "x", "--out", "-"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert ran.stderr == b""


def test_a_terminal_without_unicode_still_gets_its_text(tmp_path: Path) -> None:
    ran = tierline("features", "init", "x", "--out", "-", env={"PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 0
    assert b"\nfeature: x\n" in ran.stdout


def test_an_unknown_local_model_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["models", "fetch", "nonsense"]) == 2
    assert "smollm2-135m" in capsys.readouterr().err


def test_a_file_with_thousands_of_problems_is_told_twenty_and_how_many_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("".join(f"k{place}: 1\n" for place in range(1_000)))
    assert main.run(["features", "validate", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 985 more"  # five keys are missing as well
