"""The policies of a replay: ways to route, and their results on the recorded outcomes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tierline.routing.replay.curves import Outcome, Point, area, cost_of_quality, curve, point
from tierline.routing.replay.paired import Difference, LeadAtRate, apgr, apgr_lead, leads_at_rates
from tierline.routing.replay.promised import Served
from tierline.routing.thresholds.bounds import interval


@dataclass(frozen=True)
class Paired:
    """A policy leads_at_rates prompt length and a coin, on the same requests."""

    apgr: float  # 0.5: a coin
    over_length: Difference  # of that
    rates: tuple[LeadAtRate, ...]  # at each share of requests sent to the strong tier


@dataclass(frozen=True)
class Policy:
    """One way to route, and its results on the recorded outcomes."""

    name: str
    at: Point  # at the table's share
    quality_interval: tuple[float, float]
    area: float  # mean quality over all costs between those of the two tiers
    curve: tuple[Point, ...]
    cost_for: tuple[float, ...]
    """The least cost of each share of quality in `Replay.kept`; infinite: it never has that."""
    promised: Served | None = None  # only for policies that can promise
    paired: Paired | None = None  # only for policies that rank requests


@dataclass(frozen=True)
class Ends:
    """Both tiers alone, and the shares of the strong one's quality whose cost is computed."""

    weak_only: Point
    strong_only: Point
    kept: tuple[float, ...]

    def area(self, points: Sequence[Point]) -> float:
        return area(points, self.weak_only, self.strong_only)

    @property
    def goals(self) -> list[float]:
        return [share * self.strong_only.quality for share in self.kept]

    def cost_for(self, points: Sequence[Point]) -> tuple[float, ...]:
        return tuple(cost_of_quality(points, self.strong_only, goal) for goal in self.goals)


def fixed_choice(name: str, outcomes: Sequence[Outcome], up: Sequence[bool], ends: Ends) -> Policy:
    """The policy that always decides as `up` says."""
    at = point(outcomes, up, cascade=False)
    costs = [at.cost if at.quality >= goal else math.inf for goal in ends.goals]
    return Policy(name, at, _quality_interval(outcomes, up), ends.area([at]), (at,), tuple(costs))


def random_choice(outcomes: Sequence[Outcome], share: float, ends: Ends) -> Policy:
    """The average of random choice: a straight line between the two tiers."""
    weak_only, strong_only = ends.weak_only, ends.strong_only
    at = Point(
        *(
            weak + share * (strong - weak)
            for weak, strong in (
                (weak_only.cost, strong_only.cost),
                (weak_only.quality, strong_only.quality),
                (0.0, 1.0),
            )
        )
    )
    low = _quality_interval(outcomes, [False] * len(outcomes))
    high = _quality_interval(outcomes, [True] * len(outcomes))
    mixed = (low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1]))
    line = (weak_only, strong_only)
    return Policy("random", at, mixed, ends.area(line), line, ends.cost_for(line))


def ranked(
    name: str,
    outcomes: Sequence[Outcome],
    scores: Sequence[float],
    escalated: float,
    ends: Ends,
    *,
    cascade: bool,
    promised: Served | None,
    lengths: Sequence[float],
) -> Policy:
    """The policy that escalates the requests with the lowest scores, `escalated` of them."""
    order = sorted(range(len(outcomes)), key=lambda index: scores[index])
    up = [False] * len(outcomes)
    for index in order[: round(escalated * len(outcomes))]:
        up[index] = True
    points = curve(outcomes, scores, cascade=cascade)
    return Policy(
        name,
        point(outcomes, up, cascade=cascade),
        _quality_interval(outcomes, up),
        ends.area(points),
        tuple(points),
        ends.cost_for(points),
        promised,
        _paired(outcomes, scores, lengths),
    )


def _paired(
    outcomes: Sequence[Outcome], scores: Sequence[float], lengths: Sequence[float]
) -> Paired | None:
    """None if the strong tier is not better than the weak one, so that there is no gap."""
    if sum(one.strong_quality - one.weak_quality for one in outcomes) <= 0:
        return None
    by_length = [-length for length in lengths]
    return Paired(
        apgr(outcomes, scores),
        apgr_lead(outcomes, scores, by_length),
        tuple(leads_at_rates(outcomes, scores, lengths)),
    )


def _quality_interval(outcomes: Sequence[Outcome], up: Sequence[bool]) -> tuple[float, float]:
    """95%: exact where every quality is 0 or 1, otherwise by the normal approximation."""
    values = [
        one.strong_quality if high else one.weak_quality
        for one, high in zip(outcomes, up, strict=True)
    ]
    count = len(values)
    if all(value in (0.0, 1.0) for value in values):
        return interval(round(sum(values)), count)
    mean = sum(values) / count
    spread = (sum((value - mean) ** 2 for value in values) / max(count - 1, 1) / count) ** 0.5
    return max(0.0, mean - 1.96 * spread), min(1.0, mean + 1.96 * spread)
