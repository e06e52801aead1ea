"""Which later tiers a job may go to, by each tier's expected cost, gain and time.

Pure. Missing figures are no reason to skip a tier: with too few attempts, each is asked in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.rules.jobs import Blocked
from tierline.rules.verdicts import Verdict

FEWEST = 30  # attempts of a tier; fewer say nothing about it


@dataclass(frozen=True)
class TierStats:
    """How one tier's recent attempts went."""

    name: str
    attempts: int = 0
    passes: float | None = None  # the share whose answer was served, 0..1
    cost_usd: float | None = None  # mean per attempt; None: unknown
    latency_s: float | None = None  # median per attempt

    @property
    def enough(self) -> bool:
        """Whether there are enough attempts to decide by."""
        return self.attempts >= FEWEST


@dataclass(frozen=True)
class LaterTier:
    """One later tier, and why it is skipped; None: it is called."""

    stats: TierStats
    skipped: str | None


@dataclass(frozen=True)
class LaterTiers:
    """Where a job may go from the tier that it is on."""

    tiers: tuple[int, ...] = ()  # indexes into the feature's tiers, in order
    skipped: tuple[str, ...] = ()  # why each of the others is not called
    blocked: Blocked | None = None  # why none of them may be called

    @property
    def next(self) -> int | None:
        """The tier to escalate to, or None."""
        return self.tiers[0] if self.tiers and self.blocked is None else None


def later_tiers(
    worth: Sequence[tuple[int, LaterTier]], blocked: Blocked | None = None
) -> LaterTiers:
    """The tiers that may be called, of those from `worth_calling`, by their index.

    `blocked` is a plan or a budget that forbids all of them. Every tier is skipped only if the last
    one is too slow; then the latency target forbids them.
    """
    tiers = tuple(index for index, tier in worth if tier.skipped is None)
    skipped = tuple(tier.skipped for _, tier in worth if tier.skipped is not None)
    if blocked is None and skipped and not tiers:
        blocked = Blocked(Verdict.LATENCY, "; ".join(skipped))
    return LaterTiers(tiers, skipped, blocked)


def worth_calling(following: Sequence[TierStats], left_s: float | None) -> list[LaterTier]:
    """The later tiers in order, each with the reason to skip it, if there is one.

    `left_s`: seconds to the feature's latency target; None: it has none. A tier before the last is
    skipped if it costs more than it saves on average. It saves the cost of the tiers after it, with
    the probability that its answer is served.
    """
    worth: list[LaterTier] = []
    rest_usd: float | None = None  # what a job costs on average if it goes on after this tier
    for place, tier in reversed(list(enumerate(following))):
        late = _too_late(tier, left_s)
        expensive = None if place == len(following) - 1 else _too_expensive(tier, rest_usd)
        worth.append(LaterTier(tier, late or expensive))
        if late is None and expensive is None:
            rest_usd = _expected_usd(tier, rest_usd)
    return worth[::-1]


def _too_late(tier: TierStats, left_s: float | None) -> str | None:
    if left_s is None or not tier.enough or tier.latency_s is None or tier.latency_s <= left_s:
        return None
    return (
        f"{tier.name} takes {tier.latency_s:.2f} s, and {max(left_s, 0.0):.2f} s are left of the "
        "latency target"
    )


def _too_expensive(tier: TierStats, rest_usd: float | None) -> str | None:
    if not tier.enough or tier.passes is None or tier.cost_usd is None or rest_usd is None:
        return None
    if tier.cost_usd <= tier.passes * rest_usd:
        return None
    return (
        f"{tier.name} costs {tier.cost_usd:.3g} USD and saves {tier.passes * rest_usd:.3g} on "
        f"average: it passes {tier.passes:.0%}"
    )


def _expected_usd(tier: TierStats, rest_usd: float | None) -> float | None:
    if tier.cost_usd is None or not tier.enough:
        return None
    if rest_usd is None or tier.passes is None:
        return tier.cost_usd
    return tier.cost_usd + (1.0 - tier.passes) * rest_usd
