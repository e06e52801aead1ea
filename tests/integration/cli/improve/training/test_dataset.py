"""`tierline dataset`, from files and from labelled jobs that are put into the tables by hand."""

import csv
import json
from pathlib import Path

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.samples.tickets import KINDS, TICKETS, answered, labelled, written

pytestmark = pytest.mark.usefixtures("trains")


@pytest.fixture(scope="module")
def tickets(api: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tickets") / "tickets.yaml"
    file.write_text(TICKETS)
    return file


@pytest.fixture(autouse=True)
def applied(tierline: Tierline, tickets: Path) -> None:
    assert tierline("features", "apply", tickets).code == 0


def test_without_a_label_there_is_no_dataset(tierline: Tierline) -> None:
    ran = tierline("dataset", "build", "tickets", "--no-jobs")
    assert ran.code == 1
    assert "would be empty" in ran.err
    assert tierline("dataset", "list", "tickets").out == "no dataset yet\n"
    assert "dataset build tickets" in tierline("dataset", "review", "tickets").err


def test_a_file_becomes_a_dataset_that_comes_out_the_same_and_keeps_what_is_alike_together(
    tierline: Tierline, tmp_path: Path
) -> None:
    rows = [*labelled(30), (f"{labelled(1)[0][0]}!", "billing")]
    file = written(tmp_path / "a.csv", rows)
    first = json.loads(
        tierline("dataset", "build", "tickets", "--no-jobs", "--from", file, "--json").out
    )
    assert (first["rows"], first["by_source"]) == (121, {"file": 121})
    assert first["near_duplicates"] == 1
    shuffled = written(tmp_path / "b.csv", [*rows[50:], *rows[:50], rows[0]])
    second = json.loads(
        tierline("dataset", "build", "tickets", "--no-jobs", "--from", shuffled, "--json").out
    )
    assert second["version"] == first["version"] + 1
    assert second["sha256"] == first["sha256"]
    shown = tierline("dataset", "show", "tickets", "--version", first["version"])
    assert "121" in shown.out
    assert "near duplicates" in shown.out
    listed = json.loads(tierline("dataset", "list", "tickets", "--json").out)["data"]
    assert [one["version"] for one in listed][:2] == [second["version"], first["version"]]


def test_bad_rows_are_named_by_their_line_and_nothing_is_kept(
    tierline: Tierline, tmp_path: Path
) -> None:
    before = tierline("dataset", "list", "tickets", "--json").out
    file = written(tmp_path / "bad.csv", [*labelled(2), ("hello", "weather"), ("again", "billing")])
    ran = tierline("dataset", "build", "tickets", "--no-jobs", "--from", file)
    assert ran.code == 2
    assert f"{file}:10: " in ran.err
    assert "is not one of" in ran.err
    lines = written(tmp_path / "empty.csv", [("hello", "")])
    ran = tierline("dataset", "build", "tickets", "--no-jobs", "--from", lines)
    assert (ran.code, f"{lines}:2: has no expected" in ran.err) == (2, True)
    wrong = written(tmp_path / "columns.csv", [("a", "b")], header="text,label")
    assert "needs the columns input and expected" in (
        tierline("dataset", "build", "tickets", "--from", wrong).err
    )
    assert tierline("dataset", "list", "tickets", "--json").out == before


def test_one_label_alone_teaches_nothing(tierline: Tierline, tmp_path: Path) -> None:
    file = written(tmp_path / "one.csv", [(f"text {n}", "billing") for n in range(20)])
    ran = tierline("dataset", "build", "tickets", "--no-jobs", "--from", file)
    assert ran.code == 1
    assert "all 20 rows of tickets are labelled 'billing'" in ran.err


def test_jobs_are_a_source_and_a_persons_word_goes_before_a_models(
    tierline: Tierline, database_url: str, tmp_path: Path
) -> None:
    answered(database_url, 10)
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT j.id, j.account_id, r.input FROM jobs j JOIN job_requests r ON r.job_id = j.id"
            " ORDER BY j.seq DESC LIMIT 1"
        ).fetchone()
        assert row is not None
        job, account, asked = row
        connection.execute(
            "INSERT INTO feedback (job_id, account_id, expected) VALUES (%s, %s, '\"login\"')",
            (job, account),
        )
    file = written(tmp_path / "more.csv", [(asked["text"], "billing"), ("another one", "cancel")])
    made = json.loads(tierline("dataset", "build", "tickets", "--from", file, "--json").out)
    assert made["by_source"] == {"human": 1, "model": 39, "file": 1}
    assert made["said_by"] == {"large-2026": 39}
    reviewed = json.loads(tierline("dataset", "review", "tickets", "--no-embeddings", "--json").out)
    assert reviewed["rows"] == 41
    assert set(reviewed["counts"]) <= {"contradiction", "rare_label"}
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT expected FROM dataset_rows WHERE job_id = %s", (job,)
        ).fetchall()
    assert rows == [("login",)]


def test_a_review_lists_contradictions_rare_labels_and_labels_that_look_wrong(
    tierline: Tierline, tmp_path: Path
) -> None:
    rows = [row for row in labelled(40) if row[1] != "cancel"]
    rows = [
        *rows,
        *((KINDS["shipping"].format(n=90_000 + n), "login") for n in range(3)),
        (f"{rows[0][0]}!", "shipping"),
        ("please close my account", "cancel"),
    ]
    file = written(tmp_path / "odd.csv", rows)
    assert tierline("dataset", "build", "tickets", "--no-jobs", "--from", file).code == 0
    out = tmp_path / "doubts.csv"
    ran = tierline("dataset", "review", "tickets", "--out", out)
    assert ran.code == 0, ran.err
    assert "RARE LABEL" in ran.out
    assert "cancel has 1 rows" in ran.out
    with out.open(newline="") as source:
        kinds = {row["kind"] for row in csv.DictReader(source)}
    assert "contradiction" in kinds
    assert "rare_label" in kinds
    assert f"{out} already exists" in tierline("dataset", "review", "tickets", "--out", out).err


def test_what_is_removed_from_a_job_is_removed_from_its_datasets(
    tierline: Tierline, database_url: str
) -> None:
    answered(database_url, 10)
    made = json.loads(tierline("dataset", "build", "tickets", "--json").out)
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT job_id FROM dataset_rows d JOIN datasets s ON s.id = d.dataset_id"
            " WHERE s.feature = 'tickets' AND s.version = %s AND job_id IS NOT NULL LIMIT 1",
            (made["version"],),
        ).fetchone()
        assert row is not None
    assert tierline("jobs", "remove-content", row[0]).code == 0
    after = json.loads(
        tierline("dataset", "show", "tickets", "--version", made["version"], "--json").out
    )
    assert (after["rows"], after["removed_rows"]) == (made["rows"], 1)


def test_a_dataset_becomes_a_micro_model_and_its_test_rows_stay_unseen(
    tierline: Tierline, tickets: Path, tmp_path: Path
) -> None:
    again = tickets.with_name("again.yaml")  # another test made its first version's last tier alone
    again.write_text(TICKETS.replace("share: 0.02", "share: 0.03"))
    assert tierline("features", "apply", again).code == 0
    file = written(tmp_path / "many.csv", labelled(120))
    built = json.loads(
        tierline("dataset", "build", "tickets", "--no-jobs", "--from", file, "--json").out
    )
    ran = tierline(
        "micro", "train", "tickets", "--dataset", "newest", "--max-error", "0.1", "--json"
    )
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["rows"] == built["by_side"]["train"]
    seen = made["quality"]["held_out"] + made["quality"]["novel"]
    assert seen == built["by_side"]["calibration"]
    splits = {one["by"]: one for one in made["quality"]["splits"]}
    assert splits["near duplicates"]["inputs"] == made["quality"]["held_out"]
    assert 0 < splits["meaning"]["inputs"] + splits["meaning"]["novel"] <= seen
    assert made["quality"]["dataset"] == built["version"]
    calibration = made["micro_model"]["calibration"]
    assert (calibration["state"], calibration["reference"]) == ("in_force", "human")
    printed = tierline("micro", "train", "tickets", "--dataset", built["version"], "--dry-run")
    assert "not saved" in printed.out
    assert "Split by near duplicates: " in printed.out
    assert "Split by meaning: " in printed.out
    before = tierline("distil", "tickets", "--dry-run")
    assert "not saved" in before.out
    assert "is now 'tierline micro train tickets --dataset newest'" in before.err
    assert "no dataset 999" in tierline("micro", "train", "tickets", "--dataset", 999).err
    strict = tierline(
        *("micro", "train", "tickets", "--dataset", built["version"]),
        *("--max-error", "0.1", "--split", "meaning", "--json"),
    )
    assert strict.code == 0, strict.err
    assert json.loads(strict.out)["micro_model"]["calibration"] is not None
    refused = tierline("micro", "train", "tickets", "--split", "colour")
    assert "--split is 'colour': give near-duplicates or meaning" in refused.err


def test_a_dataset_of_another_task_is_refused(
    tierline: Tierline, tickets: Path, tmp_path: Path
) -> None:
    file = written(tmp_path / "before.csv", labelled(10))
    assert tierline("dataset", "build", "tickets", "--no-jobs", "--from", file).code == 0
    changed = tickets.with_name("changed.yaml")
    changed.write_text(TICKETS.replace("Name the kind", "Name the department"))
    assert tierline("features", "apply", changed).code == 0
    ran = tierline("micro", "train", "tickets", "--dataset", "newest")
    assert ran.code == 1
    assert "is of another task" in ran.err
