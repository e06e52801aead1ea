"""One pass over a source: the first so many records, with what is wrong told once."""

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import blake2b

from tierline.cli.run.backfill.rows import BadLine, Record, Row
from tierline.cli.run.backfill.sources import Source

Tell = Callable[[int | None, str | None, str], None]  # line, id, what is wrong


class Reading:
    """The records that a run is about; afterwards, whether they were all there are."""

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
        """Those that can be sent. `bad` hears of the others, `repeated` of ids used before."""
        seen = SeenIds()
        for record in self:
            if isinstance(record, BadLine):
                bad(record.line, record.custom_id, record.message)
                continue
            before = seen.line_of(record.custom_id, record.line)
            if before is not None:
                repeated(record.line, record.custom_id, f"its id stands in line {before} already")
            yield record


class SeenIds:
    """Which ids there were, in flat memory: SQLite spills its temporary table to disk."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("PRAGMA journal_mode = OFF")
        self._table.execute("BEGIN")
        self._table.execute("CREATE TABLE ids (id INTEGER PRIMARY KEY, line INTEGER)")

    def line_of(self, custom_id: str | None, line: int | None) -> int | None:
        """The line that had this id first; None for the first one."""
        if custom_id is None or line is None:
            return None
        digest = blake2b(custom_id.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, signed=True)
        added = self._table.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (number, line))
        if added.rowcount == 1:
            return None
        found = self._table.execute("SELECT line FROM ids WHERE id = ?", (number,)).fetchone()
        return int(found[0])
