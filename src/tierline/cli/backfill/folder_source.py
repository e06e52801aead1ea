"""Rows of a folder: a text file a row, in the order of their paths; a row's id is its path."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tierline.cli.backfill.casting import CannotCast, fields_of, input_of
from tierline.cli.backfill.lines import TOO_LONG
from tierline.cli.backfill.rows import MAX_CUSTOM_ID, MAX_ROW_BYTES, BadLine, Record, Row
from tierline.errors import UsageError
from tierline.json_text import JSON

COLUMNS = ("text", "path")  # what a file is, for --map: what stands in it, and where it lies


class FolderSource:
    """Every regular file below a folder, but hidden ones and those in hidden folders."""

    def __init__(self, path: Path, schema: Mapping[str, JSON], mapping: Mapping[str, str]) -> None:
        self.path = path
        self._fields = fields_of(schema, COLUMNS, mapping or _only_text(schema), None)

    def records(self) -> Iterator[Record]:
        for path in files_of(self.path):
            yield self._record(path)

    def _record(self, path: Path) -> Record:
        name = path.relative_to(self.path).as_posix()
        shown = name.encode("utf-8", "backslashreplace").decode()
        if len(shown) > MAX_CUSTOM_ID:
            return BadLine(None, shown[:MAX_CUSTOM_ID], "the path is too long to be an id")
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_ROW_BYTES + 1)
        except OSError as error:
            return BadLine(None, shown, error.strerror or str(error))
        if len(raw) > MAX_ROW_BYTES:
            return BadLine(None, shown, TOO_LONG)
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return BadLine(None, shown, f"not UTF-8 at byte {error.start + 1}")
        if "\x00" in text:
            return BadLine(None, shown, "holds a NUL character: not a text file")
        try:
            return Row(None, shown, input_of(self._fields, (text, shown)))
        except CannotCast as error:
            return BadLine(None, shown, str(error))


def files_of(folder: Path) -> list[Path]:
    """All files that are rows, sorted: paths, not contents, so a million cost some 200 MB."""
    found: list[Path] = []
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(below, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _only_text(schema: Mapping[str, JSON]) -> Mapping[str, str]:
    """The one field that a file's text fills when nobody said which. Raises UsageError."""
    properties = schema.get("properties") or {}
    required = [name for name in schema.get("required") or [] if name in properties]
    fields = required or list(properties)
    if len(fields) == 1:
        return {fields[0]: "text"}
    if "text" in fields:
        return {"text": "text"}
    raise UsageError(
        "say which field of the input a file's text is, with --map FIELD=text; the input has: "
        + ", ".join(properties)
    )
