"""`tierline backfill` reads CSV, JSONL, folders and stdin; each row comes back in its place."""

import csv
import json

from tests.support.scenes.backfill import Bench, rows
from tests.support.scenes.batches import FEATURE


def test_a_csv_goes_through_with_its_ids_and_cast_columns(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.csv", ["id,body,n", "a,one,1", 'b,"two, 2",', "c,three,3"])
    ran = bench.run(file, "--feature", "priced", "--map", "text=body", "--id-column", "id")
    assert ran.code == 0, ran.err
    assert [(one["id"], one["output"], one["cost"]) for one in bench.result("t.csv.out.jsonl")] == [
        ("a", {"text": "ONE"}, "0.001"),
        ("b", {"text": "TWO, 2"}, "0.001"),
        ("c", {"text": "THREE"}, "0.001"),
    ]
    sent = bench.scene.connection.execute("SELECT input FROM job_requests ORDER BY input ->> 'n'")
    assert [row[0].get("n") for row in sent] == [1, 3, None]


def test_bad_rows_stand_in_their_place_with_their_line_and_the_rest_goes_on(bench: Bench) -> None:
    bench.answer()
    good = {"text": "fine"}
    file = bench.file("t.jsonl", [good, "{not json", good, {"txt": "no"}, "", good])
    ran = bench.run(file, "--feature", FEATURE, "--out", "o.csv")
    assert ran.code == 1
    assert "line 2: not JSON" in ran.err
    assert "line 4: " in ran.err
    with (bench.folder / "o.csv").open(newline="") as found:
        table = list(csv.DictReader(found))
    assert [(row["line"], row["status"], bool(row["error"])) for row in table] == [
        ("1", "completed", False),
        ("2", "invalid", True),
        ("3", "completed", False),
        ("4", "invalid", True),
        ("6", "completed", False),
    ]


def test_a_row_with_an_id_that_is_already_used_is_refused_once_and_not_sent(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.jsonl", [*rows(3), *rows(1)])
    ran = bench.run(file, "--feature", FEATURE, "--out", "o.jsonl")
    assert ran.code == 1
    assert ran.err.count("line 4: its id is already used in line 1") == 1
    statuses = [one["status"] for one in bench.result("o.jsonl")]
    assert statuses == ["completed", "completed", "completed", "invalid"]
    assert bench.jobs() == 3


def test_rows_come_from_stdin_and_the_same_rows_continue_the_run(bench: Bench) -> None:
    bench.answer()
    text = "".join(json.dumps(one) + "\n" for one in rows(3))
    command = ("-", "--feature", FEATURE, "--out", "o.jsonl")
    ran = bench.run(*command, stdin=text)
    assert ran.code == 0, ran.err
    assert [one["id"] for one in bench.result("o.jsonl")] == ["r0", "r1", "r2"]
    again = bench.run(*command, stdin=text)
    assert "this run is done" in again.err
    assert bench.jobs() == 3
    assert [path.name for path in bench.folder.iterdir() if "stdin" in path.name] == []
    assert bench.run("-", "--feature", FEATURE, stdin=text).code == 2


def test_csv_comes_from_stdin_too(bench: Bench) -> None:
    bench.answer()
    ran = bench.run("-", "--feature", FEATURE, "--out", "o.jsonl", stdin="text\none\ntwo\n")
    assert ran.code == 0, ran.err
    assert len(bench.result("o.jsonl")) == 2
    counted = bench.run(
        *("-", "--feature", FEATURE, "--out", "p.jsonl", "--dry-run"), stdin="text\none\n"
    )
    assert "1 rows, 0 of them invalid" in counted.out, counted.err


def test_a_file_in_another_encoding_is_refused_once_and_read_when_it_is_named(bench: Bench) -> None:
    bench.answer()
    file = bench.folder / "t.csv"
    file.write_bytes(b"text\n" + "caf\xe9\n".encode("latin-1") * 40)
    refused = bench.run(file, "--feature", FEATURE)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    ran = bench.run(file, "--feature", FEATURE, "--encoding", "latin-1")
    assert ran.code == 0, ran.err
    assert bench.result("t.csv.out.jsonl")[0]["output"] == {"text": "CAF\xc9"}


def test_a_folder_gives_a_row_a_file(bench: Bench) -> None:
    bench.answer()
    (bench.folder / "texts").mkdir()
    for name in ("b.txt", "a.txt"):
        (bench.folder / "texts" / name).write_text(name)
    assert bench.run("texts", "--feature", FEATURE).code == 0
    assert [(one["id"], one["output"]["text"]) for one in bench.result("texts.out.jsonl")] == [
        ("a.txt", "A.TXT"),
        ("b.txt", "B.TXT"),
    ]
