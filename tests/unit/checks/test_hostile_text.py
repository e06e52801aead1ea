"""No text of a caller or a model holds the interpreter: a worker's heartbeat, and the API's loop,
go on beside every check and every parser.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tests.support.hostile_texts import HELD_S, TOOK_S, rows
from tierline.features.comparison import KINDS
from tierline.features.parse_checks import CHECK_KINDS
from tierline.features.task import Check

TABLE = list(rows())
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, float]]:
    """Each row's longest hold and time, in a process of its own, where nothing else runs."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile_texts"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, tuple[float, float]] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("row", TABLE)
def test_no_text_holds_the_interpreter_or_takes_for_ever(
    measured: dict[str, tuple[float, float]], row: str
) -> None:
    held_s, took_s = measured[row]
    assert held_s < HELD_S
    assert took_s < TOOK_S


@pytest.mark.parametrize("kind", CHECK_KINDS)
def test_every_kind_of_check_has_a_row(kind: str) -> None:
    assert [row for row in TABLE if row.startswith(f"{kind}: ")]


def test_the_kinds_that_a_file_may_have_are_those_of_a_check() -> None:
    assert set(CHECK_KINDS) == set(get_args(get_type_hints(Check)["kind"]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_comparison_has_a_row(kind: str) -> None:
    assert f"comparison: {kind}" in TABLE
