"""`tierline drift`, on looks that are put into the tables by hand: no worker runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.database.rows import add_job

Rows = psycopg.Connection[Any]
MEANS = {
    "novelty": [0.14, 0.0, 0.035],
    "length": [0.51, 0.45, 0.55],
    "label billing": [0.3, 0.28, 0.36],
    "label other": [0.4, 0.1, 0.2],
}


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def looked(rows: Rows, feature: str, money: list[float]) -> str:
    """So many looks, the last of which names one job as novel; the job's id."""
    version, account = rows.execute(
        "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = %s ORDER BY a.id",
        (feature,),
    ).fetchone() or (0, 0)
    job = add_job(rows, account, version, input={"text": "Will it rain\nin Oslo?"})
    alarm = money[-1] >= 20
    reference = rows.execute(
        "INSERT INTO drift_references (feature, evidence, evidence_at, inputs, vectors, document,"
        " alarm_told_at) VALUES (%s, 'calibration 4', now(), 300, '', '{}',"
        " CASE WHEN %s THEN now() END) RETURNING id",
        (feature, alarm),
    ).fetchone()
    assert reference is not None
    for number, one in enumerate(money, 1):
        document = {
            "state": {"looks": number, "wealth": {}},
            "by": {"novelty": one},
            "means": MEANS,
            "moved": ["novelty", "labels"] if one >= 20 else [],
            "novel_jobs": [str(job)],
        }
        rows.execute(
            "INSERT INTO drift_looks (reference_id, number, inputs, money, alarm, document, up_to)"
            " VALUES (%s, %s, 150, %s, %s, %s, now())",
            (reference[0], number, one, one >= 20, json.dumps(document)),
        )
    return str(job)


@pytest.fixture(autouse=True)
def none_before(rows: Rows) -> None:
    rows.execute("DELETE FROM drift_looks")
    rows.execute("DELETE FROM drift_references")


def test_where_nothing_was_found_out_it_says_what_it_waits_for(
    tierline: Tierline, feature: str, tmp_path: Path
) -> None:
    picture = tmp_path / "none.png"
    ran = tierline("drift", feature, "--png", picture)
    assert ran.code == 0, ran.err
    assert "none: calibrate, promote, or train a router" in ran.out
    assert "waits for" in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_drift_is_shown_with_what_moved_and_examples_and_drawn(
    tierline: Tierline, feature: str, rows: Rows, tmp_path: Path
) -> None:
    job = looked(rows, feature, [0.8, 3.0, 64.0])
    picture = tmp_path / "drift.png"
    ran = tierline("drift", feature, "--png", picture)
    assert ran.code == 3, ran.err
    assert "drifted: novelty, labels (evidence of change 64)" in ran.out
    assert "! novelty" in ran.out
    assert "! label other" in ran.out
    assert "label billing" not in ran.out  # it did not move
    assert f"{job}  " in ran.out
    assert "Will it rain" in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    ran = tierline("drift", feature, "--json")
    assert ran.code == 3
    report = json.loads(ran.out)
    assert [one["money"] for one in report["looks"]] == [64.0, 3.0, 0.8]
    assert report["examples"] == [{"job_id": job, "input": {"text": "Will it rain\nin Oslo?"}}]


def test_it_stays_drifted_when_later_looks_are_quieter(
    tierline: Tierline, feature: str, rows: Rows
) -> None:
    looked(rows, feature, [0.8, 64.0])
    rows.execute(
        "INSERT INTO drift_looks (reference_id, number, inputs, money, alarm, document, up_to)"
        " SELECT reference_id, 3, 99, 2, false, '{}', now() FROM drift_looks WHERE number = 2"
    )
    report = json.loads(tierline("drift", feature, "--json").out)
    assert (report["drifted"], report["moved"]) == (True, ["novelty", "labels"])
    assert len(report["looks"]) == 3


def test_no_change_ends_well_and_bad_input_is_one_line(
    tierline: Tierline, feature: str, rows: Rows, tmp_path: Path
) -> None:
    looked(rows, feature, [0.8])
    ran = tierline("drift", feature)
    assert ran.code == 0, ran.err
    assert "no change found (evidence of change 0.8; 20 raises an alarm)" in ran.out
    for arguments, code, message in (
        ((feature, "--png", tmp_path), 2, "cannot be written"),
        (("no-such-feature",), 1, "there is no feature 'no-such-feature'"),
    ):
        ran = tierline("drift", *arguments)
        assert ran.code == code, ran.err
        assert message in ran.err
        assert len(ran.err.strip().splitlines()) == 1
