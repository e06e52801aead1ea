"""Charts as numbers for inline SVG. Beside each stands a table with the same values."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 220, 96, 14, 34
ROW, LABEL = 30, 150
TICKS = 4
FLOOR = 1e-9


class Line(NamedTuple):
    """A line: `points` as SVG takes them."""

    points: str
    tone: str


class Rect(NamedTuple):
    """A bar of a chart."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str


class Text(NamedTuple):
    """A text beside an axis."""

    x: float
    y: float
    text: str
    anchor: str = "end"


class Chart(NamedTuple):
    """A chart in its own units."""

    height: int
    lines: Sequence[Line]
    bars: Sequence[Rect]
    texts: Sequence[Text]
    grid: Sequence[float]  # heights of horizontal lines
    limit: float | None = None  # the height of the line that must not be reached
    dots: Sequence[tuple[float, float]] = ()


class Series(NamedTuple):
    """Values over time."""

    tone: str
    values: Sequence[tuple[datetime, float]]


def over_time(
    series: Sequence[Series], limit: float | None, axis: "ValueFormat", *, log: bool = False
) -> Chart | None:
    """Lines over time from the lowest to the highest value, or from 0. None: no line has two
    points. `log`: a logarithmic axis, for values above 0."""
    times = [at for one in series for at, _ in one.values]
    if not any(len(one.values) > 1 for one in series):
        return None
    first, last = min(times), max(times)
    span_s = max((last - first).total_seconds(), 1.0)

    def scaled(value: float) -> float:
        return math.log10(max(value, FLOOR)) if log else value

    values = [value for one in series for _, value in one.values]
    values += [] if limit is None else [limit]
    low = min(map(scaled, values)) if log else 0.0
    high = max(map(scaled, values))
    high = high if high > low else low + 1.0

    def y(value: float) -> float:
        part = (scaled(value) - low) / (high - low)
        return round(HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM), 1)

    def x(at: datetime) -> float:
        part = (at - first).total_seconds() / span_s
        return round(LEFT + part * (WIDTH - LEFT - 8), 1)

    lines = [
        Line(" ".join(f"{x(at)},{y(value)}" for at, value in one.values), one.tone)
        for one in series
        if len(one.values) > 1
    ]
    steps = [low + (high - low) * place / TICKS for place in range(TICKS + 1)]
    ticks = [10**step if log else step for step in steps]
    texts = [Text(LEFT - 8, y(tick) + 4, axis(tick)) for tick in ticks]
    texts.append(Text(LEFT, HEIGHT - 8, f"{first:%b} {first.day}", "start"))
    texts.append(Text(WIDTH - 8, HEIGHT - 8, f"{last:%b} {last.day}"))
    return Chart(
        HEIGHT, lines, [], texts, [y(tick) for tick in ticks], None if limit is None else y(limit)
    )


class ValueFormat:
    """Writes a value beside an axis."""

    def __init__(self, form: str) -> None:
        self._form = form

    def __call__(self, value: float) -> str:
        return self._form.format(value)


def bars_by_name(
    values: Sequence[tuple[str, float, str]], tone: str, axis: ValueFormat
) -> Chart | None:
    """An upright bar for each (name, value, title). None: there is nothing above 0."""
    high = max((value for _, value, _ in values), default=0.0)
    if high <= 0:
        return None
    step = (WIDTH - LEFT) / len(values)
    bars, texts = [], []
    for place, (name, value, title) in enumerate(values):
        height = (HEIGHT - TOP - BOTTOM) * value / high
        x = LEFT + place * step
        width = max(1.0, step * 0.8)
        y = HEIGHT - BOTTOM - height
        bars.append(Rect(round(x, 1), round(y, 1), round(width, 1), round(height, 1), tone, title))
        if place == 0:
            texts.append(Text(LEFT, HEIGHT - 8, name, "start"))
        elif place == len(values) - 1:
            texts.append(Text(WIDTH, HEIGHT - 8, name, "end"))
    grid = []
    for place in range(TICKS + 1):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * place / TICKS
        grid.append(round(y, 1))
        texts.append(Text(LEFT - 8, round(y + 4, 1), axis(high * place / TICKS)))
    return Chart(HEIGHT, [], bars, texts, grid)


class Interval(NamedTuple):
    """A share with its 95% interval."""

    name: str
    value: float
    low: float
    high: float
    tone: str


def intervals(rows: Sequence[Interval]) -> Chart:
    """A row for each share: its interval as a bar, the share as a dot; from 0% to 100%."""
    height = len(rows) * ROW + 24

    def x(share: float) -> float:
        return round(LABEL + min(1.0, max(0.0, share)) * (WIDTH - LABEL - 24), 1)

    bars, texts, dots = [], [], []
    for place, row in enumerate(rows):
        middle = place * ROW + ROW / 2
        title = f"{row.name}: {row.value:.1%}, from {row.low:.1%} to {row.high:.1%}"
        width = round(max(2.0, x(row.high) - x(row.low)), 1)
        bars.append(Rect(x(row.low), middle - 5, width, 10, row.tone, title))
        dots.append((x(row.value), middle))
        texts.append(Text(0, middle + 4, row.name[:16], "start"))
    texts += [Text(x(share), height - 6, f"{share:.0%}", "middle") for share in (0, 0.5, 1)]
    return Chart(height, [], bars, texts, [], None, dots)
