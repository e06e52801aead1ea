"""Draws the cost-quality curve in a terminal and as a PNG."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from tierline.cli.shared.png import new_figure, write_png
from tierline.routing.replay.curves import Point
from tierline.routing.replay.replay import Replay

_LINES = ("confidence", "complexity", "random", "oracle")  # more lines are unreadable in a terminal
_FIXED = ("weak only", "strong only")
_MARKS = {"random": ".", "oracle": "o"}
_MAIN, _OTHER = "*", "+"
MOST_POINTS = 400  # per line in the PNG


def terminal_curve(result: Replay, width: int = 72, height: int = 16) -> str:
    """Quality (up) against cost (to the right) on a grid of characters; legend below.

    The policy that keeps the promise at the least cost is drawn over the others.
    """
    shown = sorted(
        (policy for policy in result.policies if policy.name in _LINES),
        key=lambda policy: policy.name != result.main,
    )
    main = result.main or shown[0].name
    marks = {one.name: _MARKS.get(one.name, _OTHER) for one in shown} | {main: _MAIN}
    low, high = result.weak_only.cost, result.strong_only.cost
    qualities = [
        quality
        for policy in shown
        for quality in (_at(policy.curve, low, result), _at(policy.curve, high, result))
    ] + [one.quality for policy in shown for one in policy.curve if one.cost <= high]
    bottom, top = min(qualities), max(qualities)
    if top <= bottom:
        top = bottom + 0.01
    inner = max(20, width - 9)
    cells = [[" "] * inner for _ in range(height)]
    for policy in reversed(shown):  # the first policy is drawn last, over the others
        for column in range(inner):
            cost = low + (high - low) * column / (inner - 1)
            quality = _at(policy.curve, cost, result)
            row = round((top - quality) / (top - bottom) * (height - 1))
            cells[min(max(row, 0), height - 1)][column] = marks[policy.name]
    labels = {0: f"{top:7.1%}", height - 1: f"{bottom:7.1%}"}
    lines = [f"{labels.get(row, ''):>7} |{''.join(cells[row]).rstrip()}" for row in range(height)]
    left, right = "weak only", "strong only, cost →"
    lines.append(" " * 8 + "+" + "-" * inner)
    lines.append(" " * 9 + left + right.rjust(inner - len(left)))
    lines.append(" " * 9 + "  ".join(f"{marks[policy.name]} {policy.name}" for policy in shown))
    return "\n".join(lines)


def save_png(result: Replay, path: Path) -> None:
    """Draw the curves of all policies as a PNG. Raises UsageError if it cannot be written."""
    figure = new_figure()
    axes = figure.add_subplot()
    for policy in result.policies:
        if policy.name in _FIXED:
            axes.plot(*_scaled([policy.at]), "ks", markersize=6)
            axes.annotate(
                policy.name,
                (policy.at.cost * 1000, policy.at.quality),
                textcoords="offset points",
                xytext=(6, -12),
            )
            continue
        (plotted,) = axes.plot(
            *_scaled(_thinned(policy.curve)),
            linewidth=2.6 if policy.name == result.main else 1.2,
            linestyle="--" if policy.name in ("random", "oracle") else "-",
            label=policy.name,
        )
        axes.plot(*_scaled([policy.at]), "o", color=plotted.get_color(), markersize=5)
    axes.axvline(result.strong_only.cost * 1000, color="0.8", linewidth=0.8)
    axes.set_xlabel("cost, USD per 1,000 requests")
    axes.set_ylabel("quality")
    axes.set_title(
        f"{result.count:,} requests; dots: {result.escalated:.0%} go to the strong tier",
        fontsize=10,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    write_png(figure, path)


def _scaled(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [one.cost * 1000 for one in points], [one.quality for one in points]


def _thinned(points: Sequence[Point]) -> list[Point]:
    step = max(1, len(points) // MOST_POINTS)
    return [*points[::step], points[-1]]


def _at(points: Sequence[Point], cost: float, result: Replay) -> float:
    """A curve's quality at a cost, interpolated between its two nearest points."""
    if cost <= points[0].cost:
        return result.weak_only.quality if cost < points[0].cost else points[0].quality
    index = bisect_left(points, cost, key=lambda one: one.cost)
    if index == len(points):
        return points[-1].quality
    before, after = points[index - 1], points[index]
    if after.cost == before.cost:
        return after.quality
    share = (cost - before.cost) / (after.cost - before.cost)
    return before.quality + share * (after.quality - before.quality)
