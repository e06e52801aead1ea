"""Each id once: a row whose id is already used is invalid, and is not sent."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from tierline.cli.run.backfill.rows import BadLine, Record


class _Source(Protocol):
    def records(self) -> Iterator[Record]: ...


@dataclass(frozen=True)
class UniqueIds:
    """The records of a source, with each repeated id as an invalid row."""

    source: _Source

    def records(self) -> Iterator[Record]:
        seen = SeenIds()
        for record in self.source.records():
            first_line = seen.line_of(record.custom_id, record.line)
            if first_line is None or isinstance(record, BadLine):
                yield record
            else:
                message = f"its id is already used in line {first_line}: not sent"
                yield BadLine(record.line, record.custom_id, message)


class SeenIds:
    """The ids seen so far, in constant memory: SQLite moves its temporary table to disk."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("PRAGMA journal_mode = OFF")
        self._table.execute("BEGIN")
        self._table.execute("CREATE TABLE ids (id INTEGER PRIMARY KEY, line INTEGER)")

    def line_of(self, custom_id: str | None, line: int | None) -> int | None:
        """The line that used this id first; None if this is the first."""
        if custom_id is None or line is None:
            return None
        digest = blake2b(custom_id.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, signed=True)
        added = self._table.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (number, line))
        if added.rowcount == 1:
            return None
        row = self._table.execute("SELECT line FROM ids WHERE id = ?", (number,)).fetchone()
        return int(row[0])
