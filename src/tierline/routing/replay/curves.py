"""Quality against cost as a router escalates a growing share, and the area under the curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Outcome:
    """The results of both tiers for one request: quality 0..1, cost in one unit."""

    weak_quality: float
    strong_quality: float
    weak_cost: float
    strong_cost: float


@dataclass(frozen=True)
class Point:
    """A router's averages at one setting."""

    cost: float  # per request
    quality: float  # 0..1
    escalated: float  # share sent to the frontier


def point(outcomes: Sequence[Outcome], escalate: Sequence[bool], *, cascade: bool) -> Point:
    """The averages if `escalate` says which requests go to the frontier.

    In a cascade the weak tier answers those first, and its cost counts too.
    """
    cost = quality = 0.0
    for one, up in zip(outcomes, escalate, strict=True):
        quality += one.strong_quality if up else one.weak_quality
        cost += one.strong_cost if up else one.weak_cost
        cost += one.weak_cost if up and cascade else 0.0
    return Point(cost / len(outcomes), quality / len(outcomes), sum(escalate) / len(outcomes))


def curve(outcomes: Sequence[Outcome], scores: Sequence[float], *, cascade: bool) -> list[Point]:
    """All settings of a router that serves the most confident and escalates the rest, cheapest
    first.

    Requests with equal scores go the same way, so a constant score has two points.
    """
    order = sorted(range(len(outcomes)), key=lambda index: scores[index])
    cost = sum(one.weak_cost for one in outcomes)
    quality = sum(one.weak_quality for one in outcomes)
    count = len(outcomes)
    points = [Point(cost / count, quality / count, 0.0)]
    for place, index in enumerate(order, start=1):
        one = outcomes[index]
        cost += one.strong_cost - (0.0 if cascade else one.weak_cost)
        quality += one.strong_quality - one.weak_quality
        if place == count or scores[order[place]] != scores[index]:
            points.append(Point(cost / count, quality / count, place / count))
    return points


def area(points: Sequence[Point], weak_only: Point, strong_only: Point) -> float:
    """The mean quality over all costs between weak only and strong only, along the curve.

    Between two settings a mixture of both is assumed, which a router can do. A budget for strong
    only can always buy it, so points of the curve beyond that cost do not count. Raises ValueError
    if the strong tier does not cost more than the weak one, because then there is no trade-off.
    """
    low, high = weak_only.cost, strong_only.cost
    if high <= low:
        raise ValueError(
            f"the strong tier costs no more than the weak one ({high:g} and {low:g} a request on "
            "average): there is nothing to save"
        )
    ordered = sorted(points, key=lambda one: (one.cost, one.quality))
    inside = [(max(one.cost, low), one.quality) for one in ordered if one.cost < high]
    beyond = [one for one in ordered if one.cost >= high]
    if not inside:
        return strong_only.quality
    total = 0.0
    for (from_cost, from_quality), (to_cost, to_quality) in pairwise(inside):
        total += (to_cost - from_cost) * (from_quality + to_quality) / 2.0
    last_cost, last_quality = inside[-1]
    end_quality = last_quality
    if beyond:
        share = (high - last_cost) / (beyond[0].cost - last_cost)
        end_quality = last_quality + share * (beyond[0].quality - last_quality)
    total += (high - last_cost) * (last_quality + end_quality) / 2.0
    total += (inside[0][0] - low) * weak_only.quality  # weak only, before the curve begins
    return total / (high - low)


def cost_of_quality(points: Sequence[Point], strong_only: Point, quality: float) -> float:
    """The least cost per request at which a curve has that quality, 0..1, or more.

    Between two settings a mixture of both is assumed. The strong tier alone is always possible, so
    its cost is the most if it has that quality, and infinite otherwise.
    """
    ordered = sorted(points, key=lambda one: (one.cost, -one.quality))
    strong_cost = strong_only.cost if strong_only.quality >= quality else math.inf
    if ordered and ordered[0].quality >= quality:
        return min(strong_cost, ordered[0].cost)
    for before, after in pairwise(ordered):
        if after.quality >= quality:
            share = (quality - before.quality) / (after.quality - before.quality)
            return min(strong_cost, before.cost + share * (after.cost - before.cost))
    return strong_cost
