"""What a feature's file may say about its routing, besides the policy."""

from dataclasses import dataclass

from tierline.base.json_text import JSON, without_none


@dataclass(frozen=True)
class Canary:
    """A share of the traffic that begins on another tier. The callers in it stay the same."""

    tier: str
    share: float  # of jobs, above 0 and below 1

    def to_dict(self) -> dict[str, JSON]:
        return {"tier": self.tier, "share": self.share}


@dataclass(frozen=True)
class Complexity:
    """Which jobs skip the first tier because it would likely fail."""

    max_risk: float  # 0..1: above it, the next tier is asked directly
    longest: int | None = None  # characters of input before a model is trained; None: no limit

    def to_dict(self) -> dict[str, JSON]:
        return without_none(max_risk=self.max_risk, longest=self.longest)


@dataclass(frozen=True)
class Shadow:
    """A share of the jobs that the first tier serves: the last tier answers them too, in the
    background.
    """

    share: float  # share of served jobs, above 0 and at most 1
    # limit on the cost of these answers per UTC day; None: no limit
    usd_per_day: float | None = None

    def to_dict(self) -> dict[str, JSON]:
        return without_none(share=self.share, usd_per_day=self.usd_per_day)
