"""`tierline calibrate` against a real API; no worker runs, so that there are no outcomes."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.rows import add_calibration


@pytest.fixture
def calibrated(tierline: Tierline, feature: str, tmp_path: Path) -> str:
    """A feature whose confidence is to be calibrated."""
    shown = tierline("features", "show", feature, "--json")
    source = json.loads(shown.out)["source"].replace(f"feature: {feature}", "feature: kept")
    file = tmp_path / "kept.yaml"
    file.write_text(
        f"{source}\n  - {{name: frontier, models: [openai:large]}}\n"
        "confidence: {signal: agreement, samples: 2, threshold: calibrated}\n"
    )
    applied = tierline("features", "apply", file)
    assert applied.code == 0, applied.err
    return "kept"


@pytest.fixture
def rows(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_without_outcomes_it_says_how_many_are_needed(tierline: Tierline, calibrated: str) -> None:
    ran = tierline("calibrate", calibrated, "--max-error", "0.03")
    assert ran.code == 1
    assert "not enough data: 0 new outcomes of kept" in ran.err
    assert "at least 170 more" in ran.err
    counted = tierline("calibrate", calibrated, "--max-error", "0.03", "--dry-run")
    assert counted.code == 0, counted.err
    assert "170 at the very least" in counted.out


def test_calibrations_are_listed_and_withdrawn(
    tierline: Tierline, calibrated: str, rows: psycopg.Connection[Any]
) -> None:
    number = add_calibration(rows, calibrated)
    listed = tierline("calibrate", calibrated, "--list")
    assert "of another version" in listed.out
    assert "3.00% at 95%" in listed.out
    ended = tierline("calibrate", calibrated, "--withdraw", number, "--reason", "a test")
    assert ended.code == 0, ended.err
    (one,) = json.loads(tierline("calibrate", calibrated, "--list", "--json").out)["data"]
    assert (one["state"], one["withdrawn_reason"]) == ("withdrawn", "a test")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "say what is to be promised"),
        (("--max-error", "3"), 2, "--max-error is 3: it lies between 0.0001 and 1"),
        (("--max-error", "0.03", "--confidence", "1"), 2, "--confidence is 1"),
        (("--max-error", "0.03", "--list"), 2, "one of them"),
        (("--withdraw", "1"), 2, "--reason TEXT"),
        (("--withdraw", "99", "--reason", "x"), 1, "has no calibration 99"),
        (("--max-error", "0.03", "--models", "openai:other"), 2, "known: nobody yet"),
    ],
)
def test_what_cannot_be_done(
    tierline: Tierline, calibrated: str, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ran = tierline("calibrate", calibrated, *arguments)
    assert told in ran.err
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1


def test_a_feature_with_a_fixed_threshold_says_what_to_do(tierline: Tierline, feature: str) -> None:
    ran = tierline("calibrate", feature, "--max-error", "0.03")
    assert ran.code == 1
    assert "threshold: calibrated" in ran.err
