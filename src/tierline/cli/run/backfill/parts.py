"""Splits rows into the numbered parts of /v1/batches.

The API accepts a part once, by its number and bytes, and knows how many rows each part has. So a
later run repeats the earlier parts with those counts, compares their hashes, and continues after
them. The size of new parts may differ from run to run.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from tierline.cli.run.backfill.rows import Row

MAX_PART_ROWS = 2_000
MAX_PART_BYTES = 1024 * 1024  # except for a single longer row


@dataclass(frozen=True)
class Part:
    """Rows as they are sent: a JSON object per line."""

    body: bytes
    rows: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Cutter:
    """Splits one stream of rows, from its beginning, part by part."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._lines = (encoded(row) for row in rows)
        self._ahead: bytes | None = None

    def repeat(self, rows: int) -> Part:
        """A part of exactly so many rows; fewer only at the end."""
        return self._cut(rows, None)

    @property
    def more(self) -> bool:
        """Whether a row is left."""
        if self._ahead is None:
            self._ahead = next(self._lines, None)
        return self._ahead is not None

    def next(self, most_rows: int = MAX_PART_ROWS) -> Part:
        """The next part, as large as the limits allow; empty if no row is left."""
        return self._cut(min(most_rows, MAX_PART_ROWS), MAX_PART_BYTES)

    def _cut(self, most_rows: int, most_bytes: int | None) -> Part:
        body = bytearray()
        rows = 0
        while rows < most_rows:
            line = self._ahead if self._ahead is not None else next(self._lines, None)
            self._ahead = line
            if line is None:
                break
            if most_bytes is not None and rows and len(body) + len(line) > most_bytes:
                break
            body += line
            rows += 1
            self._ahead = None
        return Part(bytes(body), rows)


def encoded(row: Row) -> bytes:
    """A row in the API's form: always the same bytes for the same row."""
    fields = {
        "custom_id": row.custom_id,
        "input": row.input,
        "metadata": row.metadata,
        "line": row.line,
    }
    sent = {name: value for name, value in fields.items() if value is not None or name == "input"}
    return (json.dumps(sent, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
