"""One pass over a source: the first so many records, with each problem reported once."""

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import blake2b

from tierline.cli.run.backfill.rows import BadLine, Record, Row
from tierline.cli.run.backfill.sources import Source

Tell = Callable[[int | None, str | None, str], None]  # line, id, problem


class Reading:
    """The records of a run; afterwards, whether they were all of the source."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source = source
        self._limit = limit
        self.whole = False

    def __iter__(self) -> Iterator[Record]:
        self.whole = False
        for number, record in enumerate(self._source.records()):
            if number == self._limit:
                return
            yield record
        self.whole = True

    def rows(self, bad: Tell, repeated: Tell) -> Iterator[Row]:
        """The valid rows. `bad` is called for the others, `repeated` for ids used before."""
        seen = SeenIds()
        for record in self:
            if isinstance(record, BadLine):
                bad(record.line, record.custom_id, record.message)
                continue
            before = seen.line_of(record.custom_id, record.line)
            if before is not None:
                repeated(record.line, record.custom_id, f"its id is already used in line {before}")
            yield record


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
        found = self._table.execute("SELECT line FROM ids WHERE id = ?", (number,)).fetchone()
        return int(found[0])
