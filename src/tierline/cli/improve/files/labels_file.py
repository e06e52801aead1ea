"""Reads a file of labels: CSV with a header, or JSONL, with one job per row."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from tierline.base.json_text import JSON
from tierline.cli.improve.files.rows_file import Row, json_or_text, read_rows

COLUMNS = ("job_id", "expected", "correct", "comment")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_labels(path: Path) -> list[tuple[int, JSON]]:
    """(line, label) of each row. Raises UsageError, or InvalidInput with the bad rows' lines."""
    first: dict[str, int] = {}

    def parse(line: int, row: Row) -> tuple[int, JSON]:
        label = _label(row)
        job = str(label["job_id"])
        if job in first:
            raise ValueError(f"the job is already in line {first[job]}")
        first[job] = line
        return line, label

    return read_rows(path, _refuse_columns, _cells, parse)


def _label(row: Row) -> dict[str, JSON]:
    label = {name: row[name] for name in COLUMNS if row.get(name) is not None}
    try:
        label["job_id"] = str(UUID(str(row.get("job_id", ""))))
    except ValueError:
        raise ValueError("job_id is not a job's id") from None
    if "correct" in label and not isinstance(label["correct"], bool):
        raise ValueError("correct must be true or false")
    if "correct" not in label and "expected" not in label:
        raise ValueError("needs a value for expected or for correct")
    return label


def _refuse_columns(names: Sequence[str]) -> str | None:
    if "job_id" in names and {"expected", "correct"} & set(names):
        return None
    return "needs the columns job_id, and expected or correct"


def _cells(cells: dict[str, str]) -> Row:
    """A cell of `expected` is read as JSON if it is valid JSON, else as text. Empty cells are
    missing values.
    """
    row: Row = {name: cells[name] for name in COLUMNS if name in cells}
    if "expected" in cells:
        row["expected"] = json_or_text(cells["expected"])
    if "correct" in cells:
        row["correct"] = _BOOLEANS.get(cells["correct"].strip().lower(), cells["correct"])
    return row
