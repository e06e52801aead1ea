"""Output of the command line: JSON for scripts, tables and short lines for people.

Text from outside (inputs, answers, names, messages) is never read as markup, and its control
characters are shown as escapes, so that an answer cannot control the terminal.
"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Literal

from tierline.base.json_text import JSON

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 60  # columns; below this a table becomes blocks of lines
UNBOUNDED = 4_000  # columns if there is no terminal: nothing is wrapped or cut

# Characters beyond C0 that control a terminal or change text direction: DEL, C1, bidirectional
# marks and embeddings (UAX #9), and Unicode's own line breaks.
_BEYOND_C0 = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[\x00-\x08\x0b-\x1f{_BEYOND_C0}]")  # except tab and newline
_IN_JSON = re.compile(f"[{_BEYOND_C0}]")  # JSON already escapes C0

STYLES: Mapping[str, str] = {
    "completed": "green",
    "passed": "green",
    "failed": "red",
    "expired": "red",
    "cancelled": "yellow",
    "in_progress": "cyan",
    "queued": "",
}


@dataclass(frozen=True)
class Col:
    """One column of a table."""

    title: str
    justify: Literal["left", "right"] = "left"
    style: str = ""
    wrap: bool = True
    # for `print_lines`:
    least: int | None = None  # the width to which it may be cut; None: it is never cut
    rank: int = 0  # above 0, it is left out of a narrow terminal; the highest first


def plain(text: str) -> str:
    """`text` with control characters escaped."""
    return _CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line, cut to `limit` characters."""
    joined = " ".join(plain(text).split())
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def print_json(value: JSON) -> None:
    """The value on stdout, indented, for scripts and people.

    Characters that control a terminal are written as \\u escapes, which a program reads as the same
    characters. So the output is the same for people and programs.
    """
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    text = json.dumps(value, indent=2, ensure_ascii=not encoding.startswith("utf"), default=str)
    sys.stdout.write(_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n")


def line(text: str = "") -> None:
    """One line on stdout."""
    sys.stdout.write(plain(text) + "\n")


def sentences(text: str) -> None:
    """A text on stdout; on a terminal its lines break between words."""
    out = console()
    if out.is_terminal:
        text = "\n".join(_broken(one, out.width) for one in text.split("\n"))
    line(text)


def _broken(text: str, width: int, indent: str = "") -> str:
    """A line of prose in lines of at most `width` columns; the later ones are indented."""
    return textwrap.fill(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_page(
    page: JSON,
    columns: Sequence[Col],
    row: Callable[[JSON], Sequence[object]],
    *,
    empty: str,
    as_json: bool,
) -> None:
    """A page of a list: as JSON, or each of its `data` on a line as `row` writes it, and how to see
    the next page.
    """
    if as_json:
        print_json(page)
        return
    if page.get("next_cursor"):
        empty = "none of the newest ones matches"
    print_lines(columns, [row(one) for one in page["data"]], empty)
    if page.get("next_cursor"):
        note(f"more: --cursor {page['next_cursor']}")


def note(text: str) -> None:
    """One line on stderr, for anything but the answer itself."""
    sys.stdout.flush()
    sys.stderr.write(plain(text) + "\n")


@cache
def console() -> "Console":
    """The terminal; without colour if there is none, or NO_COLOR is set."""
    from rich.console import Console

    terminal = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not terminal.is_terminal:
        terminal = Console(
            highlight=False, markup=False, emoji=False, width=UNBOUNDED, color_system=None
        )
    return terminal


def table(columns: Sequence[Col], rows: Sequence[Sequence[object]]) -> "Table":
    """A rich table of plain text."""
    from rich.table import Table
    from rich.text import Text

    rich_table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        rich_table.add_column(
            column.title,
            justify=column.justify,
            style=column.style or None,
            no_wrap=not column.wrap,
            overflow="fold",
        )
    for row in rows:
        cells = [show(value) for value in row]
        rich_table.add_row(*(Text(plain(cell), style=STYLES.get(cell, "")) for cell in cells))
    return rich_table


def print_table(columns: Sequence[Col], rows: Sequence[Sequence[object]], empty: str) -> None:
    """The rows for a person; `empty` if there are none.

    If the terminal is too narrow for columns, each row becomes a block of `title: value` lines.
    """
    if not rows:
        line(empty)
        return
    out = console()
    rich_table = table(columns, rows)
    if out.is_terminal and out.width < NARROW and _width(rich_table) > out.width:
        width = max(len(column.title) for column in columns)
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                if show(value):
                    line(f"{column.title.ljust(width)}  {show(value)}")
            line()
        return
    out.print(rich_table)


def print_lines(columns: Sequence[Col], rows: Sequence[Sequence[object]], empty: str) -> None:
    """The rows for a person, each on one line. On a terminal, columns that have no room are cut or
    left out; without one, everything is shown.
    """
    from tierline.cli.shared.fitting import Column, cut, fitted

    out = console()
    if not rows or not out.is_terminal:
        print_table(columns, rows, empty)
        return
    texts = [[show(value) for value in row] for row in rows]
    widths = fitted(
        [
            Column(
                max(len(column.title), *(len(row[at]) for row in texts)), column.least, column.rank
            )
            for at, column in enumerate(columns)
        ],
        out.width,
    )
    shown = [at for at, width in enumerate(widths) if width is not None]
    if sum(widths[at] or 0 for at in shown) + 2 * (len(shown) - 1) > out.width:
        print_table(
            [columns[at] for at in shown], [[row[at] for at in shown] for row in texts], empty
        )
        return
    rich_table = table(
        [
            replace(columns[at], title=cut(columns[at].title, widths[at] or 0), wrap=False)
            for at in shown
        ],
        [[cut(row[at], widths[at] or 0) for at in shown] for row in texts],
    )
    out.print(rich_table)


def _width(rich_table: "Table") -> int:
    """The width of a table without any limit."""
    from rich.measure import Measurement

    out = console()
    return Measurement.get(out, out.options.update(width=UNBOUNDED), rich_table).maximum


def print_pairs(pairs: Sequence[tuple[str, object]], prose: str | None = None) -> None:
    """Named values, one per line, with aligned names; None values are left out.

    `prose`: what explains the last value, below it; on a terminal it breaks between words.
    """
    shown = [(name, show(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        indent = "\n" + " " * (width + 2)
        line(f"{name.ljust(width)}  {value.replace(chr(10), indent)}")
    if prose is not None:
        margin = " " * (width + 2)
        out = console()
        line(_broken(margin + prose, out.width, margin) if out.is_terminal else margin + prose)


def show(value: object) -> str:
    """A value as a cell: empty for None, yes and no for booleans."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def usd(value: object) -> str:
    """A cost as the API gives it (a decimal string or null), in USD."""
    if value is None:
        return "unknown"
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return "unknown"
    if amount == 0:
        return "$0"
    text = f"{amount:.6f}".rstrip("0") if abs(amount) < 1 else f"{amount:,.2f}"
    return f"${text}" if Decimal(text.replace(",", "")) else "<$0.000001"


def seconds(value: object) -> str:
    """A duration in seconds, for people."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count(value: object) -> str:
    """A whole number with thousands separators."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else ""


def when(value: object) -> str:
    """A time from the API in the local time zone, to the second."""
    if not isinstance(value, str):
        return ""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def brief(value: JSON, limit: int = 80) -> str:
    """A JSON value on one line, for a cell."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return one_line(text, limit)
