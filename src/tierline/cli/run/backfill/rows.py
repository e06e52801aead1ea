"""The records of a source: rows that can be sent, and lines that cannot be read as one."""

from dataclasses import dataclass
from typing import TypeAlias

from tierline.base.json_text import JSON

MAX_ROW_BYTES = 4 * 1024 * 1024  # of one row in its file; a part (at most 8 MiB) has it escaped


@dataclass(frozen=True)
class Row:
    """One row in the API's form."""

    line: int | None  # its first line in FILE, from 1; None in a folder
    custom_id: str | None
    input: JSON
    metadata: JSON = None


@dataclass(frozen=True)
class BadLine:
    """A row that is never sent, and why."""

    line: int | None
    custom_id: str | None
    message: str


Record: TypeAlias = Row | BadLine


def place_of(line: int | None, custom_id: str | None) -> str:
    """A row's place, for a person."""
    if line is not None:
        return f"line {line}"
    return custom_id or "a row"


def id_of(line: int | None, custom_id: str | None) -> str | None:
    """A row's id in OUT: its own, else its line number."""
    return custom_id if custom_id is not None else None if line is None else str(line)
