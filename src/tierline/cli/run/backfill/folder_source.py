"""Rows of a folder: one text file per row, in the order of their paths; a row's id is its path.

A folder from elsewhere may contain links to any file of this machine, and a row's text is sent to a
provider. So a link that leads out of the folder is not read, and is reported as an invalid row.
Links within the folder are followed.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.lines import TOO_LONG
from tierline.cli.run.backfill.rows import MAX_ROW_BYTES, BadLine, Record, Row
from tierline.features.casting import CannotCast, fields_of, input_of
from tierline.rules.batches import MAX_CUSTOM_ID

COLUMNS = ("text", "path")  # the columns of a file, for --map: its content and its path


class FolderSource:
    """Every regular file in a folder, except hidden ones and those in hidden folders."""

    def __init__(
        self,
        path: Path,
        schema: Mapping[str, JSON],
        mapping: Mapping[str, str],
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self._encoding = encoding or "utf-8-sig"
        self._fields = fields_of(schema, COLUMNS, mapping or _only_text(schema), None)

    def records(self) -> Iterator[Record]:
        root = self.path.resolve()
        for path in files_of(self.path):
            yield self._record(root, path)

    def _record(self, root: Path, path: Path) -> Record:
        name = path.relative_to(self.path).as_posix()
        shown = name.encode("utf-8", "backslashreplace").decode()
        if len(shown) > MAX_CUSTOM_ID:
            return BadLine(None, shown[:MAX_CUSTOM_ID], "the path is too long to be an id")
        try:
            real = path.resolve()
            if not real.is_relative_to(root):
                return BadLine(None, shown, "a link that leads out of the folder: not read")
            # Open the checked file itself: a link that has replaced it meanwhile is not followed.
            with os.fdopen(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                raw = file.read(MAX_ROW_BYTES + 1)
        except OSError as error:
            return BadLine(None, shown, error.strerror or str(error))
        if len(raw) > MAX_ROW_BYTES:
            return BadLine(None, shown, TOO_LONG)
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            return BadLine(
                None,
                shown,
                f"not {self._encoding.removesuffix('-sig').upper()} at byte {error.start + 1}",
            )
        if "\x00" in text:
            return BadLine(None, shown, "contains a NUL character: not a text file")
        try:
            return Row(None, shown, input_of(self._fields, (text, shown)))
        except CannotCast as error:
            return BadLine(None, shown, str(error))


def files_of(folder: Path) -> list[Path]:
    """All files that are rows, and links that lead out of the folder, sorted. Only paths are kept,
    so a million cost some 200 MB."""
    root = folder.resolve()
    paths: list[Path] = []
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [
            path for name in folders if leads_out(root, path := Path(below, name))
        ]  # they are not entered, like all links to folders
        paths += [
            path
            for name in names
            if not name.startswith(".")
            and ((path := Path(below, name)).is_file() or leads_out(root, path))
        ]
    return sorted(paths)


def leads_out(root: Path, path: Path) -> bool:
    """Whether a path is a link to something outside of `root`, which is already resolved."""
    if not path.is_symlink():
        return False
    return path.exists() and not path.resolve().is_relative_to(root)


def _only_text(schema: Mapping[str, JSON]) -> Mapping[str, str]:
    """The one field that a file's text fills by default. Raises UsageError."""
    properties = schema.get("properties") or {}
    required = [name for name in schema.get("required") or [] if name in properties]
    fields = required or list(properties)
    if len(fields) == 1:
        return {fields[0]: "text"}
    if "text" in fields:
        return {"text": "text"}
    raise UsageError(
        "give the input field for a file's text with --map FIELD=text; the input has: "
        + ", ".join(properties)
    )
