"""The figures that a benchmark measures, each with its target.

A benchmark prints its progress on stderr, and its figures on stdout: a table, or with --json one
line that `python -m benchmarks` reads.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

REACHED, MISSED, BROKEN = 0, 1, 2
"""Exit codes: every target is reached; one is not; a benchmark did not run to its end."""


@dataclass(frozen=True)
class Figure:
    """One number. `low` and `high` are its smallest and largest among rounds, where there are any.

    `target` is the least, or with `at_most` the most; None for a figure that only compares.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Figure":
        return cls(**{name: value for name, value in fields.items() if name != "reached"})


def of_rounds(
    what: str,
    values: Sequence[float],
    unit: str,
    target: float | None = None,
    *,
    at_most: bool = False,
) -> Figure:
    """The median of the rounds' values, with the smallest and the largest."""
    return Figure(what, median(values), unit, target, at_most, min(values), max(values))


def hand_over(figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print the figures on stdout; the exit code that they make."""
    if as_json:
        print(json.dumps([figure.to_dict() for figure in figures]))
    else:
        print(table(figures))
    return exit_code(figures)


def exit_code(figures: Sequence[Figure]) -> int:
    return MISSED if any(figure.reached is False for figure in figures) else REACHED


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns: what, figure, spread, target, reached."""
    rows = [("", "figure", "spread", "target", "reached")]
    for figure in figures:
        spread = target = reached = ""
        if figure.low is not None and figure.high is not None:
            spread = f"{_number(figure.low)} - {_number(figure.high)}"
        if figure.target is not None:
            target = f"{'<=' if figure.at_most else '>='} {_number(figure.target)}"
            reached = "yes" if figure.reached else "NO"
        shown = f"{_number(figure.value)} {figure.unit}".strip()
        rows.append((figure.what, shown, spread, target, reached))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def progress(line: str) -> None:
    """Say on stderr how far it is."""
    print(line, file=sys.stderr, flush=True)


def share(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of the sorted values lie: 0.5 the median, 0.99 the p99."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
