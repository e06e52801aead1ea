"""Reads a file of labelled inputs: CSV with the columns input and expected, or JSONL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tierline.base.json_text import JSON
from tierline.cli.improve.files.rows_file import Row, json_or_text, read_rows

COLUMNS = ("input", "expected")


@dataclass(frozen=True)
class LabelledExample:
    """One labelled input, with its file and line."""

    file: str
    line: int
    input: JSON
    expected: JSON


def read_examples(path: Path, field: str | None) -> list[LabelledExample]:
    """Every row. `field`: the name of the input's only text field; a plain text in the file becomes
    the value of that field. Raises UsageError, or InvalidInput with every invalid row's line.
    """

    def parse(line: int, row: Row) -> LabelledExample:
        for name in COLUMNS:
            if row.get(name) is None:
                raise ValueError(f"has no {name}")
        input = row["input"]
        if field is not None and isinstance(input, str):
            input = {field: input}
        return LabelledExample(str(path), line, input, row["expected"])

    return read_rows(path, _refuse_columns, _cells, parse)


def text_field(input_schema: Mapping[str, JSON]) -> str | None:
    """The name of the input's only required property, if its type is text."""
    required, properties = input_schema.get("required"), input_schema.get("properties")
    if not (isinstance(required, list) and len(required) == 1 and isinstance(properties, dict)):
        return None
    kind = properties.get(required[0])
    is_text = isinstance(kind, dict) and kind.get("type") == "string"
    return str(required[0]) if is_text else None


def _refuse_columns(names: Sequence[str]) -> str | None:
    return None if set(COLUMNS) <= set(names) else "needs the columns input and expected"


def _cells(cells: dict[str, str]) -> Row:
    """An object, a list or a quoted text is read as JSON; anything else is kept as text."""
    return {
        name: json_or_text(cell) if cell.lstrip()[:1] in ("{", "[", '"') else cell.strip()
        for name, cell in cells.items()
        if name in COLUMNS
    }
