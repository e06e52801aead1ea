"""Which of the later tiers are worth asking: what each is likely to cost, gain and take.

Pure. What is not known speaks against no tier: with too few attempts seen, each is asked in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 30  # attempts of a tier, below which nothing is concluded from them


@dataclass(frozen=True)
class Seen:
    """What was lately seen of one tier."""

    name: str
    attempts: int = 0
    passes: float | None = None  # the share whose answer was served, 0..1
    cost_usd: float | None = None  # of an attempt, on average; None: unknown
    latency_s: float | None = None  # of an attempt, the median

    @property
    def known(self) -> bool:
        return self.attempts >= FEWEST


@dataclass(frozen=True)
class Step:
    """One later tier, and why it is left out; None: it is asked."""

    tier: Seen
    left_out: str | None


def steps(following: Sequence[Seen], left_s: float | None) -> list[Step]:
    """The later tiers in order, each with whether it is asked.

    `left_s`: seconds to the feature's latency target; None: it has none. A tier that is not the
    last is left out where asking it costs more than it saves on average: its cost against its
    chance to spare the job what comes after it.
    """
    found: list[Step] = []
    rest_usd: float | None = None  # what a job costs on average that goes on behind this tier
    for place, tier in reversed(list(enumerate(following))):
        late = _late(tier, left_s)
        dear = None if place == len(following) - 1 else _dear(tier, rest_usd)
        found.append(Step(tier, late or dear))
        if late is None and dear is None:
            rest_usd = _expected(tier, rest_usd)
    return found[::-1]


def _late(tier: Seen, left_s: float | None) -> str | None:
    if left_s is None or not tier.known or tier.latency_s is None or tier.latency_s <= left_s:
        return None
    return (
        f"{tier.name} takes {tier.latency_s:.2f} s, and {max(left_s, 0.0):.2f} s are left of the "
        "latency target"
    )


def _dear(tier: Seen, rest_usd: float | None) -> str | None:
    if not tier.known or tier.passes is None or tier.cost_usd is None or rest_usd is None:
        return None
    if tier.cost_usd <= tier.passes * rest_usd:
        return None
    return (
        f"{tier.name} costs {tier.cost_usd:.3g} USD and spares {tier.passes * rest_usd:.3g} on "
        f"average: it passes {tier.passes:.0%}"
    )


def _expected(tier: Seen, rest_usd: float | None) -> float | None:
    if tier.cost_usd is None or not tier.known:
        return None
    if rest_usd is None or tier.passes is None:
        return tier.cost_usd
    return tier.cost_usd + (1.0 - tier.passes) * rest_usd
