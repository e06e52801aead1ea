"""Cursors of lists: opaque to callers, an identity column's value to us."""

import base64
import binascii

from tierline.base.errors import InvalidInput, Problem

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
