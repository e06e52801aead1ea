"""Divides the window of a report: whole UTC days and hours, which the sums have, and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # the end of a window without an end
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """Times in [since, until)."""

    since: datetime
    until: datetime

    @property
    def empty(self) -> bool:
        return self.since >= self.until


@dataclass(frozen=True)
class Parts:
    """A window, divided. Each time in it is in `whole` or in one of `edges`, and each of `whole` in
    one of `days` or `hours`.
    """

    whole: Span  # from one full hour to another; may be empty
    days: Span
    hours: Sequence[Span]
    edges: Sequence[Span]

    def parameters(self) -> dict[str, Any]:
        """For the statements: `whole_*`, the arrays `grain_*` of the sums, and `edge_*`."""
        grains = [(True, self.days), *((False, hour) for hour in self.hours)]
        return {
            "whole_since": self.whole.since,
            "whole_until": self.whole.until,
            "grain_daily": [daily for daily, _ in grains],
            "grain_since": [span.since for _, span in grains],
            "grain_until": [span.until for _, span in grains],
            "edge_since": [span.since for span in self.edges],
            "edge_until": [span.until for span in self.edges],
        }


def divide(since: datetime, until: datetime | None) -> Parts:
    """Divide [since, until); None: without an end."""
    end = NEVER if until is None else until
    whole = Span(_up(since, HOUR), NEVER if until is None else _down(end, HOUR))
    if whole.empty:
        nothing = Span(since, since)
        return Parts(nothing, nothing, (), (Span(since, end),))
    edges = (Span(since, whole.since), Span(whole.until, end))
    days = Span(_up(whole.since, DAY), NEVER if until is None else _down(whole.until, DAY))
    hours = [Span(whole.since, days.since), Span(days.until, whole.until)]
    if days.empty:
        days, hours = Span(since, since), [whole]
    return Parts(
        whole,
        days,
        tuple(hour for hour in hours if not hour.empty),
        tuple(edge for edge in edges if not edge.empty),
    )


def _down(time: datetime, step: timedelta) -> datetime:
    return time - (time - EPOCH) % step


def _up(time: datetime, step: timedelta) -> datetime:
    return time + (EPOCH - time) % step
