"""Reads a file of rows, CSV with a header or JSONL, and reports every invalid row by its line."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tierline.base.errors import InvalidInput, Problem, UsageError
from tierline.base.json_text import JSON, NotJson, parse_json

MOST_DEPTH = 64
MOST_CELL = 16 * 1024 * 1024  # characters

T = TypeVar("T")
Row = dict[str, JSON]


def read_rows(
    path: Path,
    refuse_columns: Callable[[Sequence[str]], str | None],
    from_cells: Callable[[dict[str, str]], Row],
    parse: Callable[[int, Row], T],
) -> list[T]:
    """The result of `parse` for every row. `parse` gets the line and the row, and raises ValueError
    for an invalid row.

    `refuse_columns` returns the problem of a CSV's header, or None. `from_cells` converts a CSV's
    texts to a row. Raises UsageError, or InvalidInput with every invalid row's line.
    """
    problems: list[Problem] = []
    results: list[T] = []
    is_jsonl = path.suffix in (".jsonl", ".ndjson")
    try:
        for line, row in _jsonl(path) if is_jsonl else _csv(path, refuse_columns, from_cells):
            try:
                results.append(parse(line, row))
            except ValueError as wrong:
                problems.append(Problem(str(wrong), line=line, source=str(path)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    if problems:
        raise InvalidInput(problems)
    if not results:
        raise UsageError(f"{path} has no rows")
    return results


def json_or_text(cell: str) -> JSON:
    """The cell as JSON if it is valid JSON, else as text."""
    try:
        return parse_json(cell, MOST_DEPTH)
    except NotJson:
        return cell.strip()


def _csv(
    path: Path,
    refuse_columns: Callable[[Sequence[str]], str | None],
    from_cells: Callable[[dict[str, str]], Row],
) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(MOST_CELL)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        names = [name.strip() for name in reader.fieldnames or []]
        if (wrong := refuse_columns(names)) is not None:
            raise UsageError(f"{path} {wrong}")
        reader.fieldnames = names
        try:
            for row in reader:
                cells = {
                    name: cell
                    for name, cell in row.items()
                    if isinstance(cell, str) and cell.strip()
                }
                yield reader.line_num, from_cells(cells)
        except csv.Error as error:
            raise InvalidInput(
                [Problem(f"not CSV: {error}", line=reader.line_num, source=str(path))]
            ) from None


def _jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line, MOST_DEPTH)
            except NotJson as error:
                raise InvalidInput(
                    [Problem(f"not JSON: {error.message}", line=number, source=str(path))]
                ) from None
            yield number, row if isinstance(row, dict) else {}
