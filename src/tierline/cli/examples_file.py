"""Reading a file of labelled inputs: CSV with the columns input and expected, or JSONL."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tierline.errors import InvalidInput, Problem, UsageError
from tierline.json_text import JSON, NotJson, parse_json

MOST_PROBLEMS = 20
MOST_DEPTH = 64


@dataclass(frozen=True)
class Example:
    """One labelled input, and where it stands."""

    file: str
    line: int
    input: JSON
    expected: JSON


def read_examples(path: Path, field: str | None) -> list[Example]:
    """Every row. `field`: the one text of an input, which a bare text of the file is then put into.
    Raises UsageError, or InvalidInput with every bad row's line.
    """
    problems: list[Problem] = []
    found: list[Example] = []
    try:
        for line, read in _jsonl(path) if path.suffix in (".jsonl", ".ndjson") else _csv(path):
            missing = [name for name in ("input", "expected") if read.get(name) in (None, "")]
            if missing:
                problems.append(Problem(f"has no {missing[0]}", line=line, source=str(path)))
                continue
            input = read["input"]
            if field is not None and isinstance(input, str):
                input = {field: input}
            found.append(Example(str(path), line, input, read["expected"]))
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


def text_field(input_schema: Mapping[str, JSON]) -> str | None:
    """The one required property of an input, if that is a text."""
    required, properties = input_schema.get("required"), input_schema.get("properties")
    if not (isinstance(required, list) and len(required) == 1 and isinstance(properties, dict)):
        return None
    kind = properties.get(required[0])
    is_text = isinstance(kind, dict) and kind.get("type") == "string"
    return str(required[0]) if is_text else None


def _csv(path: Path) -> Iterator[tuple[int, dict[str, JSON]]]:
    csv.field_size_limit(16 * 1024 * 1024)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        names = [name.strip() for name in reader.fieldnames or []]
        if not {"input", "expected"} <= set(names):
            raise UsageError(f"{path} needs the columns input and expected")
        reader.fieldnames = names
        try:
            for row in reader:
                yield reader.line_num, {name: _cell(row[name]) for name in ("input", "expected")}
        except csv.Error as error:
            raise InvalidInput(
                [Problem(f"not CSV: {error}", line=reader.line_num, source=str(path))]
            ) from None


def _cell(text: str | None) -> JSON:
    """JSON where it reads as an object, a list or a quoted text, else the text as it stands."""
    given = (text or "").strip()
    if given[:1] in ("{", "[", '"'):
        try:
            return parse_json(given, MOST_DEPTH)
        except NotJson:
            return given
    return given


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, JSON]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                read = parse_json(line, MOST_DEPTH)
            except NotJson as error:
                raise InvalidInput(
                    [Problem(f"not JSON: {error.message}", line=number, source=str(path))]
                ) from None
            yield number, read if isinstance(read, dict) else {}
