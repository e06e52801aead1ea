"""CSV that is safe in spreadsheets, which run some texts as formulas.

A cell that begins with one of `= + - @`, a tab or a line break, or a full-width form of those, may
run as a formula, which can call other programs and send the table away. Answers, ids and names come
from outside, so such a cell gets a `'` in front, as OWASP advises
(https://owasp.org/www-community/attacks/CSV_Injection). A plain number is unchanged: `-1.5` is not
a formula. `--raw-csv` leaves every cell unchanged, for programs.
"""

import csv
import re
from collections.abc import Iterable
from typing import IO, Annotated, TypeAlias

import typer

from tierline.cli.shared.output import plain

RawCsv: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--raw-csv",
        help="Write CSV cells unchanged; by default, ' is put before text that spreadsheets run.",
    ),
]

_FORMULA = re.compile(r" *[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def safe(text: str) -> str:
    """`text` in a form that a spreadsheet shows and does not run."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


class Table:
    """Writes rows of CSV. Text is made safe unless `raw`; on a terminal, control characters are
    escaped.
    """

    def __init__(self, sink: IO[str], *, raw: bool, line_end: str = "\n") -> None:
        self._writer = csv.writer(sink, lineterminator=line_end)
        self._raw = raw
        self._shown = sink.isatty()

    def row(self, cells: Iterable[object]) -> None:
        """One row. A number stays a number, None is empty."""
        self._writer.writerow([self._cell(cell) for cell in cells])

    def _cell(self, cell: object) -> object:
        if not isinstance(cell, str):
            return cell
        text = cell if self._raw else safe(cell)
        return plain(text) if self._shown else text
