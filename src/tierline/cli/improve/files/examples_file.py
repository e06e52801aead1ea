"""Reading a file of labelled inputs: CSV with the columns input and expected, or JSONL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tierline.base.json_text import JSON
from tierline.cli.improve.files.rows_file import Row, json_or_text, read_rows

COLUMNS = ("input", "expected")


@dataclass(frozen=True)
class LabelledExample:
    """One labelled input, and where it stands."""

    file: str
    line: int
    input: JSON
    expected: JSON


def read_examples(path: Path, field: str | None) -> list[LabelledExample]:
    """Every row. `field`: the one text of an input, which a bare text of the file is then put into.
    Raises UsageError, or InvalidInput with every bad row's line.
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
    """The one required property of an input, if that is a text."""
    required, properties = input_schema.get("required"), input_schema.get("properties")
    if not (isinstance(required, list) and len(required) == 1 and isinstance(properties, dict)):
        return None
    kind = properties.get(required[0])
    is_text = isinstance(kind, dict) and kind.get("type") == "string"
    return str(required[0]) if is_text else None


def _refuse_columns(names: Sequence[str]) -> str | None:
    return None if set(COLUMNS) <= set(names) else "needs the columns input and expected"


def _cells(cells: dict[str, str]) -> Row:
    """An object, a list or a quoted text is read as JSON, anything else stays the text it is."""
    return {
        name: json_or_text(cell) if cell.lstrip()[:1] in ("{", "[", '"') else cell.strip()
        for name, cell in cells.items()
        if name in COLUMNS
    }
