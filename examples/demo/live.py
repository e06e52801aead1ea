"""What stands on the screen while the demo runs: a table, and the path of the jobs that moved last.

Plain lines where there is no terminal.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.demo.moving import DEEPER, SHOWN, Moving
from examples.demo.rows import Row

FIRST_PAUSE_S = 1.0  # between two lines, where there is no terminal; each pause is twice as long
LONGEST_PAUSE_S = 5.0

Count = dict[str, int]
COLUMNS = ("not yet", "queued", "first tier", "deeper", "completed", "failed")


def counts(rows: Sequence[Row], seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Count]:
    """By feature: how many jobs are where, by what their status says."""
    by_feature = {row.feature: dict.fromkeys(COLUMNS, 0) for row in rows}
    for row in rows:
        by_feature[row.feature][_place(seen.get(row.custom_id))] += 1
    return by_feature


def _place(job: Mapping[str, Any] | None) -> str:
    if job is None:
        return "not yet"
    if job["status"] == "completed":
        return "completed"
    if job["status"] in ("failed", "cancelled", "expired"):
        return "failed"
    if job["escalated"]:
        return "deeper"  # its status_label: running deeper analysis…
    return "queued" if job["status"] == "queued" else "first tier"


class Progress:
    """Shows where the jobs are, at each call of `show`."""

    def __init__(self, console: Console, rows: Sequence[Row]) -> None:
        self._console = console
        self._rows = rows
        self._moving = Moving(rows)
        self._moved: list[str] = []  # not printed yet, where there is no terminal
        self._began = time.monotonic()
        self._live: Live | None = None
        self._last: tuple[float, str] = (float("-inf"), "")
        self._pause_s = FIRST_PAUSE_S / 2

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, seen: Mapping[str, Mapping[str, Any]], events: int, final: bool = False) -> None:
        by_feature = counts(self._rows, seen)
        moved = self._moving.moved(seen)
        if self._live is not None:
            self._live.update(Group(self._table(by_feature, events), self._paths()), refresh=True)
            return
        self._moved = [*self._moved, *moved][-SHOWN:]
        total = {name: sum(one[name] for one in by_feature.values()) for name in COLUMNS}
        text = ", ".join(f"{number} {name}" for name, number in total.items() if number)
        at, last_text = self._last
        if final or (text != last_text and time.monotonic() - at >= self._pause_s):
            self._console.print(f"{self._elapsed():>4.0f} s  {text}; {events} webhooks verified")
            for line in self._moved:
                self._console.print(f"        {line}", markup=False)
            self._moved = []
            self._last = (time.monotonic(), text)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _paths(self) -> Text:
        lines = ["", "the jobs that moved last:", *self._moving.latest()]
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _table(self, by_feature: Mapping[str, Count], events: int) -> Table:
        title = f"{self._elapsed():.0f} s, {events} webhooks verified"
        table = Table(title=title, box=None, title_justify="left", padding=(0, 2, 0, 0))
        table.add_column("feature")
        heads = {"deeper": DEEPER}
        for name in COLUMNS:
            table.add_column(heads.get(name, name), justify="right")
        for feature, one in by_feature.items():
            table.add_row(feature, *(str(one[name] or "·") for name in COLUMNS))
        return table
