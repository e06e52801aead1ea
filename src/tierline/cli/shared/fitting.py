"""Fits a table to a terminal's width: one line a row, the most important columns first.

Pure: it chooses the columns and their widths from the texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2  # columns between two columns


@dataclass(frozen=True)
class Column:
    """What the choice needs of a column."""

    longest: int  # of its texts and its title
    least: int | None  # it may be cut to this width; None: it is never cut
    rank: int  # 0: always shown; of the others, the highest is left out first


def fitted(columns: Sequence[Column], width: int) -> list[int | None]:
    """The width of each column within `width`; None: the column is left out.

    Columns are left out until the rest has room at its least widths. Then the columns that may be
    cut share what is left, the lowest ranks first. Columns of rank 0 stay even without room.
    """
    shown = set(range(len(columns)))

    def least(at: int) -> int:
        column = columns[at]
        return column.longest if column.least is None else min(column.least, column.longest)

    def needed() -> int:
        return sum(least(at) for at in shown) + GAP * (len(shown) - 1)

    while needed() > width and any(columns[at].rank for at in shown):
        shown.remove(max(shown, key=lambda at: (columns[at].rank, at)))
    left = max(0, width - needed())
    widths: list[int | None] = [None] * len(columns)
    for at in sorted(shown, key=lambda at: (columns[at].rank, at)):
        more = min(left, columns[at].longest - least(at))
        widths[at] = least(at) + more
        left -= more
    return widths


def cut(text: str, width: int) -> str:
    """The text, with … for what has no room."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
