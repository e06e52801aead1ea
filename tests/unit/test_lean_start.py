"""What a server process does without while it starts, and has again once it works."""

import subprocess
import sys

import pytest

SEEN = "import gc, sys; print(gc.isenabled(), sys.modules.get('rich', 'untouched'))"


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.mark.parametrize("package", ["api", "workers"])
def test_only_a_process_that_python_m_starts_is_changed(package: str) -> None:
    assert run(f"import {package}; {SEEN}") == "True untouched"
    assert run(f"import sys; sys.argv[0] = '-m'; import {package}; {SEEN}") == "False None"


def test_all_is_there_again_once_it_works_and_what_was_imported_is_left_alone() -> None:
    seen = run(
        "import gc, sys; sys.argv[0] = '-m'; import workers; from tierline import lean_start;"
        "lean_start.finish(); import rich.console, cel;"
        "print(gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    assert seen == "True True"
