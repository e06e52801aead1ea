"""The progress of a backfill: a live bar on a terminal, otherwise a line at intervals.

All output goes to stderr. Nothing here calls the API.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tierline.cli.run.backfill.rows import place_of
from tierline.cli.shared.output import note, plain, seconds, usd
from tierline.rules.jobs import TERMINAL

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

FIRST_LINE_S = 5.0  # without a terminal: the first line, and then one every
LINE_EVERY_S = 30.0
RATE_S = 30.0  # the rate covers the last so many seconds
COUNT_EVERY = 5_000  # rows
BAR = 30  # columns at most
SHOWN_BAD = 10  # invalid rows that are reported one by one


@dataclass(frozen=True)
class Snapshot:
    """The state of the run to show."""

    sent: int = 0  # rows that became jobs
    bad: int = 0  # rows that did not
    all_sent: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)  # by status
    tiers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cost_usd: str = "0"
    unknown_cost_calls: int = 0
    retry: int = 0
    paused: bool = False

    @property
    def ended(self) -> int:
        return sum(self.counts.get(status, 0) for status in TERMINAL)

    @property
    def unanswered(self) -> int:
        return self.ended - self.counts.get("completed", 0)


class Progress:
    """Shows the snapshots that it gets. Use it in a with statement."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live: Live | None = None
        self._rate = Rate()
        self._next_line = time.monotonic() + FIRST_LINE_S
        self._last_line = ""
        self._bad_reported = 0

    def __enter__(self) -> "Progress":
        if self._terminal:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Show nothing more that changes."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._console.print(plain(text), soft_wrap=True)
        else:
            note(text)

    def bad(self, line: int | None, custom_id: str | None, message: str) -> None:
        """Report an invalid row; after the first few only the count grows."""
        self._bad_reported += 1
        if self._bad_reported <= SHOWN_BAD:
            self.say(f"{place_of(line, custom_id)}: {message}")
        elif self._bad_reported == SHOWN_BAD + 1:
            self.say("more rows are invalid; OUT has each with its line")

    @property
    def bad_left(self) -> int:
        """How many invalid rows will still be reported one by one."""
        return max(0, SHOWN_BAD - self._bad_reported)

    def show(self, snapshot: Snapshot) -> None:
        rate = self._rate.of(snapshot.ended, time.monotonic())
        if self._live is not None:
            self._live.update(_renderable(snapshot, rate, self._console.width), refresh=True)
        else:
            self._line(" · ".join(progress_parts(snapshot, rate) + answer_parts(snapshot)))

    def count(self, verb: str, rows: int) -> None:
        """Show at intervals how many rows were read or written, where the API is not called."""
        if rows % COUNT_EVERY:
            return
        text = f"{verb} {rows:,} rows"
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(text), refresh=True)
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        if time.monotonic() >= self._next_line and text != self._last_line:
            self._next_line = time.monotonic() + LINE_EVERY_S
            self._last_line = text
            note(text)


class Rate:
    """Rows per second, over the last RATE_S seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, ended: int, now: float) -> float:
        if self._seen and ended < self._seen[-1][1]:
            self._seen.clear()  # another batch
        self._seen.append((now, ended))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_S:
            self._seen.popleft()
        then, before = self._seen[0]
        return (ended - before) / (now - then) if now > then else 0.0


def progress_parts(snapshot: Snapshot, rate: float) -> list[str]:
    """How many rows, how fast, and the time left."""
    ended = f"{snapshot.ended:,}"
    if snapshot.all_sent:
        parts = [f"{ended} of {max(snapshot.sent, snapshot.ended):,}"]
    else:
        parts = [f"{ended} done, {snapshot.sent:,} sent so far"]
    if snapshot.retry:
        parts[0] = f"retry {snapshot.retry}: {parts[0]}"
    if snapshot.paused:
        return [*parts, "paused"]
    if rate * 60 >= 1:
        parts.append(f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:.0f}/min")
        left = snapshot.sent - snapshot.ended
        if snapshot.all_sent and left > 0:
            parts.append(f"{seconds(float(round(left / rate)))} left")
    return parts


def answer_parts(snapshot: Snapshot) -> list[str]:
    """The number of answers per tier, failures, and the cost."""
    parts = []
    for name, tier in snapshot.tiers.items():
        waiting = f" + {tier['unfinished']:,} waiting" if tier["unfinished"] else ""
        parts.append(f"{name} {tier['completed']:,}{waiting}")
    if snapshot.unanswered:
        parts.append(f"failed {snapshot.unanswered:,}")
    if snapshot.bad:
        parts.append(f"bad {snapshot.bad:,}")
    unknown = " + ?" if snapshot.unknown_cost_calls else ""
    parts.append(f"cost {usd(snapshot.cost_usd)}{unknown}")
    return parts


def _renderable(snapshot: Snapshot, rate: float, width: int) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    width -= 1  # a line as wide as the terminal wraps on some terminals
    length = min(BAR, width)
    total = max(snapshot.sent, snapshot.ended)
    full = length * snapshot.ended // total if snapshot.all_sent and total else 0
    # Two characters and not two colours, so that NO_COLOR shows the bar too.
    bar = Text("━" * full, style="green") + Text("╌" * (length - full), style="bright_black")
    head = " · ".join(progress_parts(snapshot, rate))
    if length + 2 + len(head) <= width:
        bar += Text("  " + head)
        lines = []
    else:
        lines = wrapped(progress_parts(snapshot, rate), width)
    return Group(bar, *(Text(line) for line in lines + wrapped(answer_parts(snapshot), width)))


def wrapped(parts: list[str], width: int) -> list[str]:
    """The parts joined into lines of at most `width`, unless a single part is longer."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
