"""Reads a CSV of recorded outcomes: one request per row, with the results of both tiers.

The columns are documented in docs/routing.md. Every problem is reported with its line, and a file
with problems is not replayed.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tierline.base.digits import number
from tierline.base.errors import InvalidInput, Problem, UsageError
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.features.comparison import Comparison
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.replay import Recorded

SIGNAL = "signal_"  # the prefix of a signal's column
LARGEST = 1e12  # the largest number; sums of squares of larger ones can overflow
_SIDES = ("weak", "strong")


@dataclass(frozen=True)
class Measure:
    """How to convert answers to qualities and tokens to costs."""

    comparison: Comparison
    right_from: float = 1.0  # the lowest score that counts as right
    usd_per_mtok: Mapping[str, float | None] | None = None  # by side, for the columns of tokens


def read_recorded(path: Path, measure: Measure) -> list[Recorded]:
    """Every row. Raises UsageError for missing columns, InvalidInput for invalid rows."""
    csv.field_size_limit(16 * 1024 * 1024)
    problems: list[Problem] = []
    outcomes: list[Recorded] = []
    first_seen: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            _check_columns(path, columns, measure)
            for cells in reader:
                line = reader.line_num
                if not cells:
                    continue
                try:
                    one = _recorded(columns, cells, measure)
                except ValueError as wrong:
                    problems.append(Problem(str(wrong), line=line, source=str(path)))
                    continue
                if one.id in first_seen:
                    message = f"the id {one.id!r} is already in line {first_seen[one.id]}"
                    problems.append(Problem(message, line=line, source=str(path)))
                    continue
                first_seen[one.id] = line
                outcomes.append(one)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except csv.Error as error:
        raise InvalidInput(
            [Problem(f"not CSV: {error}", line=reader.line_num, source=str(path))]
        ) from None
    if problems:
        raise InvalidInput(problems)
    if not outcomes:
        raise UsageError(f"{path} has no rows")
    return outcomes


def _check_columns(path: Path, columns: list[str], measure: Measure) -> None:
    names = set(columns)
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise UsageError(f"{path}: the column {doubled[0]} occurs more than once")
    for name in ("id", "prompt"):
        if name not in names:
            raise UsageError(f"{path} needs a column {name}; it has {', '.join(columns) or 'none'}")
    for side in _SIDES:
        if f"{side}_score" not in names and not {f"{side}_answer", "label"} <= names:
            raise UsageError(f"{path} needs {side}_score, or {side}_answer and label")
        if f"{side}_cost_usd" in names:
            continue
        if f"{side}_tokens" not in names:
            raise UsageError(f"{path} needs {side}_cost_usd or {side}_tokens")
        if (measure.usd_per_mtok or {}).get(side) is None:
            raise UsageError(
                f"{path} has {side}_tokens and no {side}_cost_usd: give --{side}-usd-per-mtok"
            )


def _recorded(columns: list[str], cells: list[str], measure: Measure) -> Recorded:
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells, and the header has {len(columns)} columns")
    row = dict(zip(columns, cells, strict=True))
    if not row["id"].strip():
        raise ValueError("id is empty")
    weak, strong = (_quality(row, side, measure) for side in _SIDES)
    costs = [_cost(row, side, measure) for side in _SIDES]
    signals = {
        name.removeprefix(SIGNAL): None if not cell.strip() else _number(name, cell)
        for name, cell in row.items()
        if name.startswith(SIGNAL)
    }
    outcome = Outcome(weak, strong, costs[0], costs[1])
    return Recorded(row["id"], row["prompt"], outcome, weak < measure.right_from, signals)


def _quality(row: Mapping[str, str], side: str, measure: Measure) -> float:
    score = row.get(f"{side}_score")
    if score is not None and score.strip():
        value = _number(f"{side}_score", score)
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{side}_score is {value:g}: a score must be between 0 and 1")
        return value
    answer, label = row.get(f"{side}_answer"), row.get("label")
    if answer is None or label is None:
        raise ValueError(f"{side}_score is empty")
    return 1.0 if measure.comparison.same(_value(answer), _value(label)) else 0.0


def _value(text: str) -> JSON:
    """The cell as JSON if it is an object or a list, else as text."""
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            return parse_json(stripped)
        except NotJson:
            return text
    return stripped


def _cost(row: Mapping[str, str], side: str, measure: Measure) -> float:
    cell = row.get(f"{side}_cost_usd")
    if cell is not None:
        value = _number(f"{side}_cost_usd", cell)
        if value < 0:
            raise ValueError(f"{side}_cost_usd is {value:g}: a cost cannot be negative")
        return value
    tokens = _number(f"{side}_tokens", row[f"{side}_tokens"])
    if tokens < 0:
        raise ValueError(f"{side}_tokens is {tokens:g}: a number of tokens cannot be negative")
    return tokens * ((measure.usd_per_mtok or {}).get(side) or 0.0) / 1e6


def _number(name: str, cell: str) -> float:
    try:
        value = number(cell.strip())
    except ValueError:
        raise ValueError(f"{name} is {cell[:40]!r}, not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} is {cell[:40]!r}, not a finite number")
    if abs(value) > LARGEST:
        raise ValueError(f"{name} is {cell[:40]!r}: it must be at most {LARGEST:g}")
    return value
