"""A file for a new batch: its columns, which of them fill the input, and the rows that it makes.

A CSV file begins with its columns' names. A JSONL file has a JSON object on each line: a row as
PUT /v1/batches/{id}/parts/{n} takes it, or fields that are chosen from as columns are.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.console.visible import visible
from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.features.casting import CannotCast, cast, kinds_of
from tierline.views.batches.batches import ROW_FIELDS

MOST_COLUMNS = 100
MOST_ROWS = 100_000  # each look at a mapping checks all of them, about 50,000 a second
MOST_DEPTH = 32
MOST_CELL = 16 * 1024 * 1024  # characters: more than a file has. The limit is the process's
WHOLE = ""  # the name of the one field of an input that is no object
MAPS, ID = "map:", "id"  # the names of the form's fields
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Rows:
    """The rows of a file. A cell is a text in CSV, and any JSON value in JSONL; None: absent."""

    columns: Sequence[str]
    cells: Sequence[Sequence[JSON]]
    lines: Sequence[int]  # of the file, from 1
    as_sent: bool = False  # rows with `input`, which need no mapping
    is_text: bool = False  # cells are text, to be cast


@dataclass(frozen=True)
class ColumnMapping:
    """Which column fills which field of the input."""

    fields: Mapping[str, str]  # field → column; empty: left out
    id_column: str = ""


@dataclass(frozen=True)
class InputField:
    """A field of the feature's input."""

    name: str
    required: bool
    kind: str  # in words


def read_rows_of(name: str, content: bytes) -> Rows:
    """The rows of a file by its name. Raises InvalidInput with the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _bad(f"line {line} is not UTF-8: save the file as UTF-8") from None
    if "\x00" in text:
        raise _bad("it contains a NUL character: it is not a text file")
    if name.lower().endswith((".jsonl", ".ndjson", ".json")) or text.lstrip()[:1] == "{":
        return _json_lines(text)
    return _csv(text)


def input_fields(schema: Mapping[str, JSON]) -> list[InputField]:
    """The fields of a feature's input; one without a name if it is no object."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        kinds = kinds_of(schema, schema)
        return [] if "object" in kinds else [InputField(WHOLE, True, " or ".join(sorted(kinds)))]
    required = schema.get("required") or []
    return [
        InputField(name, name in required, " or ".join(sorted(kinds_of(one, schema))))
        for name, one in properties.items()
    ]


def mapping_of(form: Mapping[str, str], rows: Rows, fields: Sequence[InputField]) -> ColumnMapping:
    """The form's mapping. A field that the form does not name takes the column of its own name.

    Raises InvalidInput for a column that the file does not have.
    """
    chosen = {}
    for field in fields:
        own = field.name if field.name in rows.columns else ""
        if field.name == WHOLE and len(rows.columns) == 1:
            own = rows.columns[0]
        chosen[field.name] = form.get(f"{MAPS}{field.name}", own)
    default = "custom_id" if "custom_id" in rows.columns else ""
    # A page shows hidden characters of a name as their codes, and its form sends those.
    named = {**{visible(name): name for name in rows.columns}, **{n: n for n in rows.columns}}
    named[""] = ""
    try:
        return ColumnMapping(
            {field: named[column] for field, column in chosen.items()},
            named[form.get(ID, default)],
        )
    except KeyError:
        raise _bad("it has no such column: open the page again") from None


def batch_rows(rows: Rows, mapping: ColumnMapping, schema: Mapping[str, JSON]) -> Iterator[bytes]:
    """The lines of a part of a batch, one for each row."""
    if rows.as_sent:
        for line, (value,) in zip(rows.lines, rows.cells, strict=True):
            assert isinstance(value, dict), "each line was checked"
            yield _line({**value, "line": line})
        return
    at = {column: place for place, column in enumerate(rows.columns)}
    properties = schema.get("properties") or {}
    for line, cells in zip(rows.lines, rows.cells, strict=True):
        fields: dict[str, JSON] = {}
        names = mapping.fields or {c: c for c in rows.columns if c != mapping.id_column}
        for name, column in names.items():
            cell = cells[at[column]] if column else None
            if cell is None or (rows.is_text and cell == ""):
                continue
            one = schema if name == WHOLE else properties.get(name, {})
            fields[name] = _cast(cell, one, schema) if rows.is_text else cell
        row: dict[str, JSON] = {
            "input": fields.get(WHOLE) if WHOLE in names else fields,
            "line": line,
        }
        custom_id = cells[at[mapping.id_column]] if mapping.id_column else None
        if custom_id not in (None, ""):
            row["custom_id"] = custom_id if isinstance(custom_id, str) else json.dumps(custom_id)
        yield _line(row)


def _cast(cell: JSON, schema: JSON, root: Mapping[str, JSON]) -> JSON:
    """The cell's value. What does not fit stays text, so that the schema refuses its row."""
    assert isinstance(cell, str), "cells of CSV are text"
    try:
        return cast(cell, kinds_of(schema, root))
    except CannotCast:
        return cell


def _line(row: Mapping[str, JSON]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _csv(text: str) -> Rows:
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    cells: list[Sequence[JSON]] = []
    lines, begin = [], 1
    try:
        columns = next(reader, [])
        begin = reader.line_num + 1
        for record in reader:
            if record:
                if len(record) != len(columns):
                    raise _bad(
                        f"line {begin} has {len(record)} cells where the header has {len(columns)}"
                    )
                _refuse_more(cells)
                cells.append(record)
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise _bad(f"line {begin}: {error}") from None
    _refuse_columns(columns)
    if not cells:
        raise _bad("it has no rows below its header")
    return Rows(columns, cells, lines, is_text=True)


def _refuse_more(read: Sequence[object]) -> None:
    if len(read) >= MOST_ROWS:
        raise _bad(f"it has more than {MOST_ROWS:,} rows: send it with tierline backfill")


def _refuse_columns(columns: Sequence[str]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise _bad(f"it has more than {MOST_COLUMNS} columns")
    if len(set(columns)) != len(columns) or not all(columns):
        raise _bad("its first line must name each column, and each name once")


def _json_lines(text: str) -> Rows:
    values: list[dict[str, JSON]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line, MOST_DEPTH)
        except NotJson as error:
            raise _bad(f"line {number}: {error.message}") from None
        if not isinstance(value, dict):
            raise _bad(f"line {number} is not a JSON object")
        _refuse_more(values)
        values.append(value)
        lines.append(number)
    if not values:
        raise _bad("it has no rows")
    if all("input" in value and value.keys() <= ROW_FIELDS for value in values):
        return Rows(["input"], [[value] for value in values], lines, as_sent=True)
    columns = list(dict.fromkeys(name for value in values for name in value))
    _refuse_columns(columns)
    return Rows(columns, [[value.get(name) for name in columns] for value in values], lines)


def _bad(what: str) -> InvalidInput:
    return InvalidInput([Problem(what, "/file")])
