"""`tierline feedback` against a real API; its jobs are ended by hand, since no worker runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tierline.base.ids import new_id

NO_JOB = "01a20e54-18d6-7a38-8f75-084a3523c9e4"


@pytest.fixture
def rows(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
        connection.execute("DELETE FROM feedback")


@pytest.fixture
def jobs(tierline: Tierline, feature: str, rows: psycopg.Connection[Any]) -> list[str]:
    """Three jobs that have ended."""
    ids = []
    for number in range(3):
        text = json.dumps({"text": f"Order ZK-{number}"})
        ids.append(
            json.loads(tierline("jobs", "submit", feature, "--input", text, "--json").out)["id"]
        )
    rows.execute(
        "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp()"
        " WHERE id = ANY(%s::uuid[])",
        (ids,),
    )
    return ids


def test_labels_of_a_csv_are_kept(
    tierline: Tierline, jobs: list[str], rows: psycopg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "job_id,input,expected,correct,comment\n"
        f'{jobs[0]},x,"{{""order_number"": ""ZK-0""}}",,\n'
        f"{jobs[1]},x,,yes,looks right\n"
    )
    checked = tierline("feedback", "import", file, "--dry-run")
    assert (checked.code, checked.out) == (0, "2 labels can be imported\n")
    assert rows.execute("SELECT count(*) FROM feedback").fetchone() == (0,)
    ran = tierline("feedback", "import", file)
    assert (ran.code, ran.out) == (0, "2 labels were imported\n"), ran.err
    kept = rows.execute("SELECT expected, correct, comment FROM feedback ORDER BY id").fetchall()
    assert kept == [({"order_number": "ZK-0"}, None, None), (None, True, "looks right")]


def test_labels_of_jsonl_are_kept(
    tierline: Tierline, jobs: list[str], rows: psycopg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps({"job_id": jobs[2], "correct": False}) + "\n")
    answer = json.loads(tierline("feedback", "import", file, "--json").out)
    assert answer == {"kept": 1, "checked": 1}


def test_bad_rows_are_told_by_line_and_none_is_kept(
    tierline: Tierline, jobs: list[str], rows: psycopg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "job_id,expected,correct\n"
        f"{jobs[0]},,true\n"
        f'{jobs[1]},"{{""order_number"": 5}}",\n'
        f"{new_id()},,true\n"
    )
    ran = tierline("feedback", "import", file)
    assert ran.code == 2
    first, second = ran.err.splitlines()
    assert first.startswith(f"{file}:3: expected/order_number: ")
    assert second.startswith(f"{file}:4: job_id: there is no job")
    assert rows.execute("SELECT count(*) FROM feedback").fetchone() == (0,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job_id,note\nx,y\n", "needs the columns job_id, and expected or correct"),
        ("job_id,expected\n", "has no rows"),
        ("job_id,expected\nno-id,x\n", ":2: job_id is not a job's id"),
        (f"job_id,expected\n{NO_JOB},\n", ":2: needs a value for expected or for correct"),
        (f"job_id,correct\n{NO_JOB},maybe\n", ":2: correct must be true or false"),
        (
            "job_id,correct\n" + f"{'01a1f2b0-0000-7000-8000-000000000000'},yes\n" * 2,
            ":3: the job is already in line 2",
        ),
    ],
)
def test_a_file_that_makes_no_labels(
    tierline: Tierline, text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    ran = tierline("feedback", "import", file)
    assert message in ran.err
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_a_sample_is_a_csv_to_fill_in(tierline: Tierline, feature: str, tmp_path: Path) -> None:
    empty = tierline("feedback", "sample", feature)
    assert (empty.code, empty.out, empty.err) == (
        0,
        "job_id,input,expected\n",
        "0 outcomes drawn\n",
    )
    (tmp_path / "out.csv").touch()
    ran = tierline("feedback", "sample", feature, "--out", tmp_path / "out.csv")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
