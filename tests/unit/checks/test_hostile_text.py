"""No text of a caller or a model holds the interpreter: a worker's heartbeat, and the API's loop,
go on beside every check and every parser.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tests.support.samples.hostile_texts import HELD_S, TOOK_S
from tierline.features.comparison import KINDS
from tierline.features.parsing.parse_checks import CHECK_KINDS
from tierline.features.task import Check

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", params=[16, pytest.param(1, marks=pytest.mark.nightly)])
def measured(request: pytest.FixtureRequest) -> dict[str, tuple[float, float]]:
    """Each row's longest hold and time, in a process of its own, where nothing else runs.

    The suite has a sixteenth of the largest size. `make nightly` has all of it.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.samples.hostile_texts", str(request.param)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, tuple[float, float]] = json.loads(ran.stdout)
    return found


def test_no_text_holds_the_interpreter(measured: dict[str, tuple[float, float]]) -> None:
    assert {row: held_s for row, (held_s, _) in measured.items() if held_s >= HELD_S} == {}


def test_no_text_takes_for_ever(measured: dict[str, tuple[float, float]]) -> None:
    assert {row: took_s for row, (_, took_s) in measured.items() if took_s >= TOOK_S} == {}


@pytest.mark.parametrize("kind", CHECK_KINDS)
def test_every_kind_of_check_has_a_row(measured: dict[str, tuple[float, float]], kind: str) -> None:
    assert [row for row in measured if row.startswith(f"{kind}: ")]


def test_the_kinds_that_a_file_may_have_are_those_of_a_check() -> None:
    assert set(CHECK_KINDS) == set(get_args(get_type_hints(Check)["kind"]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_comparison_has_a_row(
    measured: dict[str, tuple[float, float]], kind: str
) -> None:
    assert f"comparison: {kind}" in measured
