"""Pages of lists. A cursor is opaque to callers; to us it is an identity column's value.

A cursor of jobs has the last job's id too. It tells in which week the next page begins.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from tierline.base.errors import InvalidInput, Problem
from tierline.services.jobs.read_jobs import Before, Matches
from tierline.views.jobs.jobs import JobRow

Row = TypeVar("Row")

_MARK, _JOB_MARK = "s", "j"  # identify the form of the cursor
_MOST_DIGITS = 18
_ID = re.compile(r"[0-9a-f]{32}")


def write_cursor(seq: int) -> str:
    """The cursor of the page after the row with `seq`."""
    return _written(f"{_MARK}{seq}")


def read_cursor(text: str | None) -> int | None:
    """The `seq` in a cursor. Raises InvalidInput for a text that is not a cursor of ours."""
    if text is None:
        return None
    plain = _read(text)
    if plain[:1] == _MARK and plain[1:].isdigit() and len(plain) <= 1 + _MOST_DIGITS:
        return int(plain[1:])
    raise _not_a_cursor()


def write_job_cursor(seq: int, id: UUID) -> str:
    """The cursor of the page after this job."""
    return _written(f"{_JOB_MARK}{seq}.{id.hex}")


def read_job_cursor(text: str | None) -> Before | None:
    """Where the page begins. A cursor of the release before has no id. Raises InvalidInput."""
    if text is None:
        return None
    plain = _read(text)
    if plain[:1] != _JOB_MARK:
        seq = read_cursor(text)
        return None if seq is None else Before(seq)
    seq_text, _, id = plain[1:].partition(".")
    if seq_text.isdigit() and len(seq_text) <= _MOST_DIGITS and _ID.fullmatch(id):
        return Before(int(seq_text), UUID(id))
    raise _not_a_cursor()


def _written(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise _not_a_cursor() from None


def _not_a_cursor() -> InvalidInput:
    return InvalidInput([Problem("is not a cursor: pass next_cursor unchanged", "?cursor")])


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


def search_page(
    cursor: str | None,
    limit: int,
    search: Callable[[int | None, int], tuple[Sequence[Row], int | None]],
) -> tuple[Sequence[Row], str | None]:
    """`read_page`, of a search whose page may have fewer rows although another page follows. With
    the rows, `search` gives the `seq` before which more may follow.
    """
    rows, stopped = search(read_cursor(cursor), limit)
    return rows, None if stopped is None else write_cursor(stopped)


def read_job_page(
    cursor: str | None, limit: int, read: Callable[[Before | None, int], Sequence[JobRow]]
) -> tuple[Sequence[JobRow], str | None]:
    """`read_page`, of jobs."""
    rows = read(read_job_cursor(cursor), limit + 1)
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    return page, write_job_cursor(page[-1]["seq"], page[-1]["id"])


def search_job_page(
    cursor: str | None, limit: int, search: Callable[[Before | None, int], Matches]
) -> tuple[Sequence[JobRow], str | None]:
    """The same of a search, whose page may have fewer jobs although another page follows."""
    rows, stopped = search(read_job_cursor(cursor), limit)
    return rows, None if stopped is None else write_job_cursor(stopped.seq, stopped.id)
