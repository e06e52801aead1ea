"""A file's lines as bytes, one at a time, never more in memory than a row may have."""

from pathlib import Path
from typing import BinaryIO

from tierline.cli.run.backfill.rows import MAX_ROW_BYTES

BOM = b"\xef\xbb\xbf"


class Lines:
    """Lines in order, with their numbers. Close it, or use it in a with statement."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """`encoding`: of the file; None: UTF-8. Lines come as UTF-8."""
        self.number = 0  # of the last line, from 1
        self._encoding = encoding
        self._file: BinaryIO = path.open("rb")
        if self._file.read(len(BOM)) != BOM:
            self._file.seek(0)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> bytes | None:
        """The next line with its end; None after the last one. A line that is too long is cut to
        one byte more than a row may have, and the rest is skipped."""
        line = self._file.readline(MAX_ROW_BYTES + 1)
        if not line:
            return None
        self.number += 1
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_ROW_BYTES:
            rest = self._file.readline(MAX_ROW_BYTES + 1)
        return line if self._encoding is None else self._as_utf_8(line)

    def _as_utf_8(self, line: bytes) -> bytes:
        """The line in UTF-8; as it is if it is not in the file's encoding. Its reader refuses it
        then, because it is not UTF-8 either."""
        try:
            return line.decode(self._encoding or "utf-8").encode()
        except UnicodeDecodeError:
            return line

    def mark(self) -> tuple[int, int]:
        """The position after the last line, to return to."""
        return self._file.tell(), self.number

    def back_to(self, mark: tuple[int, int]) -> None:
        self._file.seek(mark[0])
        self.number = mark[1]


def too_long(line: bytes) -> bool:
    return len(line) > MAX_ROW_BYTES


TOO_LONG = f"longer than {MAX_ROW_BYTES // 1024 // 1024} MiB"
