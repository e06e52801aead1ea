"""Draws docs/pictures/routers.svg, what routers are worth: `make pictures`.

The numbers are those of `python -m benchmarks router`.
"""

import runpy
from pathlib import Path
from typing import NamedTuple

ROAD = runpy.run_path(str(Path(__file__).with_name("road.py")))
style, words, escape = ROAD["style"], ROAD["words"], ROAD["escape"]

WIDTH, HEIGHT = 640, 430
LEFT, RIGHT = 220, 600  # of the axis
LOW, HIGH = -0.10, 0.40  # its ends
ROW, TOP = 38, 100
TITLE = "What routers are worth"
TOLD = (
    "How much more of the large model's lead a router keeps than prompt length does, on two public "
    "sets, with 95% intervals. The router of tierline keeps most on both."
)


class Lead(NamedTuple):
    """The lead of a router over prompt length, in APGR, with its 95% interval."""

    router: str
    mean: float
    low: float
    high: float


SETS = {
    "BANKING77, 3,080 texts": (
        Lead("gain (router train)", 0.157, 0.126, 0.187),
        Lead("where small is wrong", 0.122, 0.091, 0.152),
        Lead("kNN", 0.122, 0.092, 0.153),
    ),
    "SNIPS, 685 commands": (
        Lead("gain (router train)", 0.289, 0.212, 0.365),
        Lead("where small is wrong", 0.271, 0.191, 0.350),
        Lead("kNN", 0.275, 0.197, 0.353),
    ),
}


def at(value: float) -> float:
    """Where a value is on the axis."""
    return round(LEFT + (value - LOW) / (HIGH - LOW) * (RIGHT - LEFT), 1)


def row(lead: Lead, y: int) -> str:
    """One router: its name, its interval and its dot."""
    return "\n".join(
        [
            words("more", LEFT - 12, y + 5, lead.router, "end"),
            f'<path class="line" d="M{at(lead.low)},{y} L{at(lead.high)},{y}"/>',
            f'<circle class="good" cx="{at(lead.mean)}" cy="{y}" r="7"/>',
        ]
    )


def routers() -> str:
    """The whole picture as SVG."""
    frame = f'width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"'
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
        f'<title id="t">{TITLE}</title>',
        f'<desc id="d">{TOLD}</desc>',
        style(),
        f'<rect class="page" x="1" y="1" {frame}/>',
        words("title", 24, 38, "Lead over prompt length (APGR, 95% interval)", "start"),
    ]
    y = TOP - 24
    for name, leads in SETS.items():
        lines.append(words("title", 24, y + 5, name, "start"))
        for lead in leads:
            y += ROW
            lines.append(row(lead, y))
        y += ROW + 6
    foot = y - 6
    lines.append(f'<path class="line" d="M{at(0)},{TOP - 8} L{at(0)},{foot}"/>')
    lines.append(words("more", round(at(0)), foot + 22, "0: prompt length"))
    lines += [
        words("more", round(at(value)), foot + 22, f"+{value:.1f}") for value in (0.2, 0.3, 0.4)
    ]
    return "\n".join([*lines, "</svg>\n"])


if __name__ == "__main__":
    Path(__file__).with_name("routers.svg").write_text(routers(), encoding="utf-8")
