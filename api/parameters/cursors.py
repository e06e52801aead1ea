"""Pages of lists. A cursor is opaque to callers; to us it is an identity column's value."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from tierline.base.errors import InvalidInput, Problem

Row = TypeVar("Row")

_MARK = "s"  # identifies the form of the cursor, in case another one follows


def write_cursor(seq: int) -> str:
    """The cursor of the page after the row with `seq`."""
    return base64.urlsafe_b64encode(f"{_MARK}{seq}".encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> int | None:
    """The `seq` in a cursor. Raises InvalidInput for a text that is not a cursor of ours."""
    if text is None:
        return None
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        if plain[:1] == _MARK and plain[1:].isascii() and plain[1:].isdigit() and len(plain) < 20:
            return int(plain[1:])
    except (binascii.Error, ValueError):
        pass
    raise InvalidInput([Problem("is not a cursor: pass next_cursor unchanged", "?cursor")])


def read_page(
    cursor: str | None,
    limit: int,
    read: Callable[[int | None, int], Sequence[Row]],
    seq_of: Callable[[Row], int],
) -> tuple[Sequence[Row], str | None]:
    """A page of at most `limit` rows, and the cursor of the next page; None: there is none.

    `read` gets the `seq` in the cursor (None: from the beginning) and how many rows to read, which
    is one more than are shown. Raises InvalidInput.
    """
    rows = read(read_cursor(cursor), limit + 1)
    page = rows[:limit]
    return page, write_cursor(seq_of(page[-1])) if len(rows) > limit else None
