"""Results put side by side with the source, and OUT written whole."""

import csv
import json
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from tierline.base.errors import UsageError
from tierline.cli.run.backfill.results import results, rows_to_retry, sent_rows, write_out
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.rows import BadLine, Record, Row
from tierline.cli.run.backfill.state import Batch


class Answers:
    """Stands for the API's rows of batches."""

    def __init__(self, **batches: list[dict[str, Any]]) -> None:
        self.batches = batches

    def rows(self, batch_id: str) -> Any:
        return iter(self.batches[batch_id])


def job(status: str, cost: str = "0.1", **more: Any) -> dict[str, Any]:
    return {
        "id": "j",
        "status": status,
        "cost_usd": cost,
        "unknown_cost_calls": 0,
        "tier": "slm",
        "output": None,
        "error": None,
        **more,
    }


def merged(api: Answers, *batches: Batch) -> list[dict[str, Any]]:
    return list(sent_rows(cast(RetryingClient, api), list(batches)))


RECORDS: list[Record] = [
    Row(1, "a", {}),
    BadLine(2, None, "not JSON"),
    Row(3, None, {}),
    Row(4, "d", {}),
]


def test_every_record_has_its_result_in_its_place() -> None:
    sent = iter([job("completed", output=1), job("failed"), job("completed", output=3)])
    written = list(results(RECORDS, sent))
    assert [(one["id"], one["line"], one["status"], one["output"]) for one in written] == [
        ("a", 1, "completed", 1),
        ("2", 2, "invalid", None),
        ("3", 3, "failed", None),
        ("d", 4, "completed", 3),
    ]
    assert written[1]["error"]["message"] == "not JSON"


def test_results_end_where_sending_ended() -> None:
    assert len(list(results(RECORDS, iter([job("completed")])))) == 2


def test_a_retried_row_has_its_later_result_and_the_cost_of_both() -> None:
    api = Answers(
        one=[job("completed"), job("failed", "0.1"), job("expired", "0.2")],
        two=[job("failed", "0.3"), job("completed", "0.4")],
        three=[job("completed", "0.5")],
    )
    rows = merged(api, Batch("one"), Batch("two", 3), Batch("three", 3))
    assert [(row["status"], row["cost_usd"]) for row in rows] == [
        ("completed", "0.1"),
        ("completed", "0.9"),
        ("completed", "0.6"),
    ]


def test_rows_sent_after_a_retry_was_made_are_not_taken_for_its_own() -> None:
    api = Answers(one=[job("failed"), job("failed")], two=[job("completed")])
    rows = merged(api, Batch("one"), Batch("two", 1))
    assert [row["status"] for row in rows] == ["completed", "failed"]


def test_a_retry_that_is_not_all_sent_leaves_the_earlier_results() -> None:
    api = Answers(one=[job("failed"), job("cancelled")], two=[job("completed")])
    rows = merged(api, Batch("one"), Batch("two", 2))
    assert [row["status"] for row in rows] == ["completed", "cancelled"]


def test_only_rows_that_ended_without_an_answer_are_retried() -> None:
    sent = [job("failed"), job("invalid"), job("expired")]
    assert [row.line for row in rows_to_retry(RECORDS, iter(sent), 3)] == [1, 4]
    assert [row.line for row in rows_to_retry(RECORDS, iter(sent), 2)] == [1]


def test_out_is_jsonl_or_csv_by_its_name(tmp_path: Path) -> None:
    sent = [job("completed", output={"text": "ü,\n"}), job("failed"), job("completed")]
    write_out(tmp_path / "o.jsonl", results(RECORDS, iter(sent)))
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "2", "3", "d"]
    tally = write_out(tmp_path / "o.csv", results(RECORDS, iter(sent)))
    with (tmp_path / "o.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert json.loads(table[0]["output"]) == {"text": "ü,\n"}
    assert (tally.rows, tally.unanswered) == (4, 2)
    assert tally.reasons == {"failed": 1}  # an invalid row was reported before


def test_rows_without_an_answer_are_counted_by_verdict_or_error(tmp_path: Path) -> None:
    sent = [
        job("failed", verdict="low_confidence"),
        job("expired", error={"code": "deadline", "message": "too late"}),
        job("failed", verdict="low_confidence"),
    ]
    tally = write_out(tmp_path / "o.jsonl", results(RECORDS, iter(sent)))
    assert tally.reasons == {"low_confidence": 2, "deadline": 1}


def test_out_stays_as_it_was_when_the_results_break_off(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    out.write_text("earlier\n")

    def broken() -> Any:
        yield from results(RECORDS, iter([job("completed")]))
        raise UsageError("broke off")

    with pytest.raises(UsageError):
        write_out(out, broken())
    assert out.read_text() == "earlier\n"


def test_a_row_whose_output_was_removed_says_so() -> None:
    removed = job("completed", output_removed_at="2026-03-01T00:00:00Z")
    (result,) = results(RECORDS[:1], iter([removed]))
    assert (result["status"], result["output"]) == ("completed", None)
    assert result["error"]["code"] == "output_removed"
    assert "2026-03-01" in result["error"]["message"]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_a_new_out_is_its_owners_alone_and_a_kept_one_keeps_its_mode(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    write_out(out, results([], iter([])))
    assert mode_of(out) == 0o600
    out.chmod(0o640)
    write_out(out, results([], iter([])))
    assert mode_of(out) == 0o640
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_is_written_through_a_link_that_stands_in_the_way(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "out.csv.part").symlink_to(other)
    write_out(tmp_path / "out.csv", results([], iter([])))
    assert other.read_text() == "kept"


def test_cells_that_a_spreadsheet_would_run_are_quoted_unless_they_are_wanted_raw(
    tmp_path: Path,
) -> None:
    records: list[Record] = [Row(1, "=1+1", {}), Row(2, "-7", {})]
    answered = [job("completed", output="@SUM(A1)"), job("completed", output=-1.5)]
    for raw, shown in ((False, ["'=1+1", "'@SUM(A1)"]), (True, ["=1+1", "@SUM(A1)"])):
        out = tmp_path / "out.csv"
        for _ in range(2):  # written again: nothing is quoted twice
            write_out(out, results(records, iter(answered)), raw_csv=raw)
            with out.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            assert [rows[0]["id"], rows[0]["output"]] == shown
            assert [rows[1]["id"], rows[1]["output"]] == ["-7", "-1.5"]
