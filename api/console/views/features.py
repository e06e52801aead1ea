"""A feature as the console shows it: differences of its versions, its evidence in pictures."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from api.console.views.charts import Chart, Interval, Series, ValueFormat, intervals, over_time
from api.console.views.marks import Mark
from tierline.base.ids import time_of
from tierline.base.json_text import JSON
from tierline.routing.thresholds.bounds import upper_bound
from tierline.views.evidence.drift import Drift, DriftFigure
from tierline.views.evidence.evaluations import Promotion
from tierline.views.reports.reports import Outcome

MOST_DRAWN = 200  # points of a line
ALARM = 20.0  # evidence of change that raises an alarm
SURE = 0.95
_EVALUATIONS = {
    "running": Mark("◐", "running", "busy"),
    "completed": Mark("✓", "completed", "good"),
    "cancelled": Mark("⊘", "cancelled", "quiet"),
}
_VERDICTS = {
    "ship": Mark("✓", "ship", "good"),
    "default": Mark("✓", "default", "good"),
}


class DiffLine(NamedTuple):
    """A line of a difference. `sign`: +, −, or a space."""

    sign: str
    tone: str
    text: str


def difference(before: str, after: str) -> list[DiffLine]:
    """What changed between two texts, with three lines around each change."""
    lines = []
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm=""):
        if line.startswith(("+++", "---")):
            continue
        if line.startswith("@@"):
            lines.append(DiffLine("…", "quiet", ""))
        elif line.startswith("+"):
            lines.append(DiffLine("+", "good", line[1:]))
        elif line.startswith("-"):
            lines.append(DiffLine("−", "bad", line[1:]))
        else:
            lines.append(DiffLine(" ", "", line[1:]))
    return lines


def evaluation_mark(status: str) -> Mark:
    """The mark of an evaluation's state."""
    return _EVALUATIONS.get(status, Mark("•", status, "quiet"))


def recommendation_mark(verdict: str) -> Mark:
    """The mark of what an evaluation recommends for a tier."""
    return _VERDICTS.get(verdict, Mark("!", verdict.replace("_", " "), "warn"))


def calibration_mark(state: str) -> Mark:
    """The mark of a calibration's state."""
    if state == "in_force":
        return Mark("✓", "in force", "good")
    return Mark("⊘", state.replace("_", " "), "quiet")


def quality_chart(tiers: Sequence[Mapping[str, JSON]]) -> Chart | None:
    """The share of right answers of each tier, with its interval."""
    rows = [
        Interval(
            str(one["tier"]),
            float(one["quality"]),
            float(one["interval"][0]),
            float(one["interval"][1]),
            "first" if place == 0 else "later",
        )
        for place, one in enumerate(tiers)
    ]
    return intervals(rows) if rows else None


class BoundPoint(NamedTuple):
    """How many answers were compared until then, and what they say."""

    outcome: Outcome
    compared: int
    differing: int
    bound: float


def bound_over_time(outcomes: Iterable[Outcome]) -> list[BoundPoint]:
    """The 95% upper bound on the share of differing answers after each of these outcomes, which
    come the newest first."""
    points = []
    differing = 0
    for compared, outcome in enumerate(reversed(list(outcomes)), start=1):
        differing += outcome.differs
        points.append(
            BoundPoint(outcome, compared, differing, upper_bound(differing, compared, SURE))
        )
    return points


def bound_chart(points: Sequence[BoundPoint], promotion: Promotion) -> Chart | None:
    """The bound and the observed share over time, against the share that may differ."""
    step = max(1, len(points) // MOST_DRAWN)
    points = [*points[::step], points[-1]] if points else []
    times = [time_of(point.outcome.job_id) for point in points]
    return over_time(
        [
            Series("later", [(at, one.bound) for at, one in zip(times, points, strict=True)]),
            Series(
                "first",
                [(at, one.differing / one.compared) for at, one in zip(times, points, strict=True)],
            ),
        ],
        promotion.most_differing,
        ValueFormat("{:.0%}"),
    )


def promotion_mark(promotion: Promotion) -> Mark:
    """The mark of a promotion."""
    if promotion.ended_at is not None:
        return Mark("⊘", "ended", "quiet")
    if promotion.share < 1:
        return Mark("◐", "canary", "busy")
    return Mark("✓", "in force", "good")


def drift_chart(drift: Drift) -> Chart | None:
    """The evidence of change over the days; an alarm is raised at 20."""
    days = [(look.at, max(look.money, 0.01)) for look in reversed(drift.looks)]
    return over_time([Series("later", days)], ALARM, ValueFormat("{:.3g}"), log=True)


class MovedFigure(NamedTuple):
    """A figure in words."""

    figure: DriftFigure
    outside: bool
    words: str


def figures_of(drift: Drift) -> list[MovedFigure]:
    """The figures, those that moved first."""
    figures = [_moved(figure) for figure in drift.figures]
    return sorted(figures, key=lambda one: not one.outside)


def _moved(figure: DriftFigure) -> MovedFigure:
    if figure.mean > figure.most:
        words = f"is higher than without change: {figure.mean:.3f}, at most {figure.most:.3f}"
    elif figure.mean < figure.least:
        words = f"is lower than without change: {figure.mean:.3f}, at least {figure.least:.3f}"
    else:
        words = f"is as before: {figure.mean:.3f}"
    return MovedFigure(figure, not figure.least <= figure.mean <= figure.most, words)
