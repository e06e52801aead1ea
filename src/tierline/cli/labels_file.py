"""Reading a file of labels: CSV with a header, or JSONL; a job each row."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from tierline.errors import InvalidInput, Problem, UsageError
from tierline.json_text import JSON, NotJson, parse_json

COLUMNS = ("job_id", "expected", "correct", "comment")
MOST_PROBLEMS = 20
_SAID = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_labels(path: Path) -> list[tuple[int, JSON]]:
    """(line, label) of every row. Raises UsageError, or InvalidInput with every bad row's line."""
    problems: list[Problem] = []
    found: list[tuple[int, JSON]] = []
    first: dict[str, int] = {}
    try:
        for line, read in _jsonl(path) if path.suffix in (".jsonl", ".ndjson") else _csv(path):
            try:
                label = _label(read if isinstance(read, Mapping) else {})
                job = str(label["job_id"])
                if job in first:
                    raise ValueError(f"the job stands in line {first[job]} already")
                first[job] = line
                found.append((line, label))
            except ValueError as wrong:
                problems.append(Problem(str(wrong), line=line, source=str(path)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    if problems:
        more = len(problems) - MOST_PROBLEMS
        told = [Problem(f"and {more} more", source=str(path))] if more > 0 else []
        raise InvalidInput([*problems[:MOST_PROBLEMS], *told])
    if not found:
        raise UsageError(f"{path} has no rows")
    return found


def _label(read: Mapping[str, JSON]) -> dict[str, JSON]:
    label = {name: read[name] for name in COLUMNS if read.get(name) is not None}
    try:
        label["job_id"] = str(UUID(str(read.get("job_id", ""))))
    except ValueError:
        raise ValueError("job_id is not a job's id") from None
    if "correct" in label and not isinstance(label["correct"], bool):
        raise ValueError("correct is true or false")
    if "correct" not in label and "expected" not in label:
        raise ValueError("says neither what is expected nor whether the answer was correct")
    return label


def _csv(path: Path) -> Iterator[tuple[int, JSON]]:
    csv.field_size_limit(16 * 1024 * 1024)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        names = [name.strip() for name in reader.fieldnames or []]
        if "job_id" not in names or not {"expected", "correct"} & set(names):
            raise UsageError(f"{path} needs the columns job_id, and expected or correct")
        reader.fieldnames = names
        try:
            for row in reader:
                yield reader.line_num, _cells(row)
        except csv.Error as error:
            raise InvalidInput(
                [Problem(f"not CSV: {error}", line=reader.line_num, source=str(path))]
            ) from None


def _cells(row: Mapping[str, JSON]) -> dict[str, JSON]:
    """A cell of `expected` is JSON where it reads as that, else text; an empty one is none."""
    found: dict[str, JSON] = {
        name: row[name] for name in COLUMNS if isinstance(row.get(name), str) and row[name].strip()
    }
    if "expected" in found:
        try:
            found["expected"] = parse_json(found["expected"], 64)
        except NotJson:
            found["expected"] = found["expected"].strip()
    if "correct" in found:
        found["correct"] = _SAID.get(found["correct"].strip().lower(), found["correct"])
    return found


def _jsonl(path: Path) -> Iterator[tuple[int, JSON]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, parse_json(line, 64)
                except NotJson as error:
                    raise InvalidInput(
                        [Problem(f"not JSON: {error.message}", line=number, source=str(path))]
                    ) from None
