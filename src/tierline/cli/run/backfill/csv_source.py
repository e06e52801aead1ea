"""Rows of a CSV file. An invalid record affects only itself: reading continues on the line after
its first one, so an unclosed quote does not consume the file."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.lines import TOO_LONG, Lines, too_long
from tierline.cli.run.backfill.rows import MAX_ROW_BYTES, BadLine, Record, Row
from tierline.features.casting import CannotCast, Field, fields_of, input_of
from tierline.rules.batches import MAX_CUSTOM_ID

_SEPARATORS = (",", ";", "\t")


class CsvSource:
    """A CSV file with a header. Raises UsageError if its columns do not fit the input."""

    def __init__(
        self,
        path: Path,
        schema: Mapping[str, JSON],
        mapping: Mapping[str, str],
        id_column: str | None,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self._encoding = encoding
        self._separator, self._columns = _header(path, encoding)
        self._fields = fields_of(schema, self._columns, mapping, id_column)
        self._id = None if id_column is None else self._columns.index(id_column)

    def records(self) -> Iterator[Record]:
        """Every record after the header, in order; empty lines are skipped."""
        with Lines(self.path, self._encoding) as lines:
            csv_lines = _CsvLines(lines)
            reader = _reader(csv_lines, self._separator)
            next(reader)
            while True:
                before = lines.mark()
                csv_lines.start()
                try:
                    cells = next(reader, None)
                except (csv.Error, _TooLong) as error:
                    yield BadLine(before[1] + 1, None, _message(error))
                    lines.back_to(before)
                    lines.read()
                    reader = _reader(csv_lines, self._separator)
                    continue
                if cells is None:
                    return
                if cells:
                    yield _record(before[1] + 1, cells, len(self._columns), self._fields, self._id)


class _TooLong(Exception):
    pass


class _CsvLines:
    """Feeds lines to the csv module, and limits a record's length."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._length = 0

    def start(self) -> None:
        self._length = 0

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = self._lines.read()
        if line is None:
            raise StopIteration
        self._length += len(line)
        if too_long(line) or self._length > MAX_ROW_BYTES:
            raise _TooLong
        # A byte that is not UTF-8 becomes a lone surrogate, and its record is refused.
        return line.decode("utf-8", "surrogateescape")


def _reader(csv_lines: _CsvLines, separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_ROW_BYTES)
    return csv.reader(csv_lines, delimiter=separator, strict=True)


def _header(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    """The separator and the columns' names. Raises UsageError."""
    with Lines(path, encoding) as lines:
        first = lines.read()
        if first is None:
            raise UsageError(f"{path} is empty: a CSV file begins with its columns' names")
        separator = max(_SEPARATORS, key=lambda one: first.count(one.encode()))
    with Lines(path, encoding) as lines:
        try:
            columns = next(_reader(_CsvLines(lines), separator), [])
        except (csv.Error, _TooLong) as error:
            raise UsageError(f"{path}: line 1: {_message(error)}") from None
    try:
        "".join(columns).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{path}: line 1 is not UTF-8: name the file's encoding, such as --encoding latin-1"
        ) from None
    return separator, columns


def _record(
    line: int, cells: list[str], width: int, fields: list[Field], id_at: int | None
) -> Record:
    custom_id = cells[id_at] if id_at is not None and id_at < len(cells) else None
    bad = _fault(cells, width)
    if custom_id is not None and (bad is not None or len(custom_id) > MAX_CUSTOM_ID):
        bad, custom_id = bad or f"an id may have at most {MAX_CUSTOM_ID} characters", None
    if bad is not None:
        return BadLine(line, None, bad)
    try:
        return Row(line, custom_id or None, input_of(fields, cells))
    except CannotCast as error:
        return BadLine(line, custom_id or None, str(error))


def _fault(cells: list[str], width: int) -> str | None:
    text = "".join(cells)
    if "\x00" in text:
        return "contains a NUL character, which cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not UTF-8; if the whole file is in another encoding, give it with --encoding"
    if len(cells) != width:
        return f"has {len(cells)} cells where the header has {width}"
    return None


def _message(error: Exception) -> str:
    if isinstance(error, _TooLong):
        return f"the record is {TOO_LONG}, or a quote in it is never closed"
    text = str(error)
    if text == "unexpected end of data":
        return "a quote is never closed"
    return f"not CSV: {text}"
