"""`tierline calibrate` against a real API; no worker runs, so that there are no outcomes."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.database.rows import add_calibration, add_outcomes
from tierline.base.ids import new_id
from tierline.services.evidence.calibration.threshold_searches import KIND, run
from tierline.services.features.find_feature import current_feature
from tierline.services.operations.work import Work
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.engine import create_pool
from tierline.storage.operations import operations


@pytest.fixture
def calibrated(tierline: Tierline, feature: str, tmp_path: Path) -> str:
    """A feature whose confidence is to be calibrated."""
    return applied(tierline, feature, tmp_path, "kept")


def applied(tierline: Tierline, feature: str, folder: Path, name: str) -> str:
    shown = tierline("features", "show", feature, "--json")
    source = json.loads(shown.out)["source"].replace(f"feature: {feature}", f"feature: {name}")
    file = folder / f"{name}.yaml"
    file.write_text(
        f"{source}\n  - {{name: frontier, models: [openai:large]}}\n"
        "confidence: {signal: agreement, samples: 2, threshold: calibrated}\n"
    )
    ran = tierline("features", "apply", file)
    assert ran.code == 0, ran.err
    return name


@pytest.fixture
def rows(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_without_outcomes_it_says_how_many_are_needed(tierline: Tierline, calibrated: str) -> None:
    ran = tierline("calibrate", calibrated, "--max-error", "0.03")
    assert ran.code == 1
    assert "not enough data: 0 new outcomes of kept" in ran.err
    assert "at least 136 more" in ran.err
    counted = tierline("calibrate", calibrated, "--max-error", "0.03", "--dry-run")
    assert counted.code == 0, counted.err
    assert "unknown: too few outcomes" in counted.out
    assert "at least 136 more, then ask again" in counted.out


def test_a_search_that_would_probably_find_nothing_asks_first(
    tierline: Tierline, feature: str, tmp_path: Path, rows: psycopg.Connection[Any]
) -> None:
    name = applied(tierline, feature, tmp_path, "early")
    made_by = current_feature(rows, name)
    add_outcomes(rows, name, recipe_of(rows, made_by, made_by.tiers[0]), 200)
    rows.execute(  # one sure answer of those that the scores are fitted on is wrong
        "UPDATE outcomes SET differs = true"
        " WHERE seq = (SELECT min(seq) FROM outcomes WHERE feature = %s)",
        (name,),
    )
    command = ("calibrate", name, "--max-error", "0.03")
    counted = tierline(*command, "--dry-run")
    chance = re.search(r"chance of success +(\d+)% if they are searched now", counted.out)
    assert chance is not None
    assert int(chance[1]) < 50
    assert re.search(r"recommended +none: these cannot say how many", counted.out)
    refused = tierline(*command)
    assert refused.code == 2
    assert "uses them up" in refused.err
    assert "give --yes" in refused.err
    assert rows.execute("SELECT count(*) FROM operations").fetchone() == (0,)


def test_calibrations_are_listed_and_withdrawn(
    tierline: Tierline, calibrated: str, rows: psycopg.Connection[Any]
) -> None:
    number = add_calibration(rows, calibrated)
    listed = tierline("calibrate", "list", calibrated)
    assert "of another version" in listed.out
    assert "3.00% at 95%" in listed.out
    ended = tierline("calibrate", "withdraw", calibrated, number, "--reason", "a test")
    assert ended.code == 0, ended.err
    (one,) = json.loads(tierline("calibrate", "list", calibrated, "--json").out)["data"]
    assert (one["state"], one["withdrawn_reason"]) == ("withdrawn", "a test")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give the error limit to promise"),
        (("--max-error", "3"), 2, "--max-error is 3: it must be between 0.0001 and 1"),
        (("--max-error", "0.03", "--confidence", "1"), 2, "--confidence is 1"),
        (("--max-error", "0.03", "--list"), 2, "give only one of"),
        (("--withdraw", "1"), 2, "--reason TEXT"),
        (("--follow", "1", "--cancel", "1"), 2, "give only one of"),
        (("--max-error", "0.03", "--models", "openai:other"), 2, "known: none yet"),
    ],
)
def test_what_cannot_be_done(
    tierline: Tierline, calibrated: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("calibrate", calibrated, *arguments)
    assert message in ran.err
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("follow", ("999",), "has no threshold search 999"),
        ("cancel", ("999",), "has no threshold search 999"),
        ("withdraw", ("99", "--reason", "x"), "has no calibration 99"),
    ],
)
def test_what_does_not_exist_is_one_line(
    tierline: Tierline, calibrated: str, command: str, arguments: tuple[str, ...], message: str
) -> None:
    ran = tierline("calibrate", command, calibrated, *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert message in ran.err


def test_a_feature_with_a_fixed_threshold_says_what_to_do(tierline: Tierline, feature: str) -> None:
    ran = tierline("calibrate", feature, "--max-error", "0.03")
    assert ran.code == 1
    assert "threshold: calibrated" in ran.err
    assert "shadow: {share: 0.02}" in ran.err


def test_a_search_goes_on_by_itself_and_is_followed_or_ended(
    tierline: Tierline,
    calibrated: str,
    rows: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feature = current_feature(rows, calibrated)
    add_outcomes(rows, calibrated, recipe_of(rows, feature, feature.tiers[0]), 1_000)

    def interrupted() -> str:
        """A search that nobody waits for; its id."""

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("tierline.cli.shared.operations.time.sleep", interrupt)
            ran = tierline("calibrate", calibrated, "--max-error", "0.1")
        assert ran.code == 130
        told = re.search(r"search (\d+) continues .*: follow it with .* follow kept \1'", ran.err)
        assert told is not None, ran.err
        return told[1]

    first = interrupted()
    ended = tierline("calibrate", "cancel", calibrated, first)
    assert (ended.code, ended.out) == (0, f"search {first} of {calibrated} is cancelled\n")
    followed = tierline("calibrate", "follow", calibrated, first)
    assert (followed.code, "no outcome was used up" in followed.err) == (1, True)
    second = interrupted()
    with create_pool(database_url, "test", 2) as pool:
        token = new_id()
        row = operations.claim(rows, token, [KIND])
        assert row is not None
        work = Work(pool, token, row["feature"], row["options"], None)
        work.progress("reading")
        assert interrupted() == second  # it is under way, and how far is shown
        run(work)
    made = tierline("calibrate", "follow", calibrated, second)
    assert made.code == 0, made.err
    assert "at most 10.00% may differ from openai:large" in made.out
    assert "in force" in tierline("calibrate", "list", calibrated).out
    before = tierline("calibrate", calibrated, "--list")
    assert "in force" in before.out
    assert f"is now 'tierline calibrate list {calibrated}'" in before.err
