"""What the run used, and an estimate of what the second tier alone would have used.

The estimate assumes that each job would have needed, on the second tier, the mean of what the
feature's escalated jobs needed there. Their prompts also say what was wrong with a first answer, so
it is a little high.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from examples.demo.outcomes import Outcome
from tierline.features.model import Price

INPUT = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
OUTPUT = ("output_tokens", "reasoning_tokens")


@dataclass(frozen=True)
class Used:
    """Tokens and time of some calls."""

    calls: int = 0
    input_tokens: float = 0  # with those of a cache
    output_tokens: float = 0  # with the reasoning ones
    model_s: float = 0.0  # seconds that a model was busy with them
    cost_usd: Decimal = Decimal(0)  # as booked
    unknown: int = 0  # calls whose cost or tokens nobody knows

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.model_s + other.model_s,
            self.cost_usd + other.cost_usd,
            self.unknown + other.unknown,
        )

    def at(self, price: Price) -> Decimal:
        """What these tokens cost at a price, in USD."""
        return (
            Decimal(str(self.input_tokens)) * price.input_usd_per_mtok
            + Decimal(str(self.output_tokens)) * price.output_usd_per_mtok
        ) / 1_000_000


def _sum(usage: Mapping[str, Any], buckets: Iterable[str]) -> int:
    return sum(usage.get(name) or 0 for name in buckets)


def used_by(calls: Iterable[Mapping[str, Any]]) -> Used:
    """The sum over calls as the API gives them."""
    total = Used()
    for call in calls:
        usage = call.get("usage") or {}
        unknown = usage.get("input_tokens") is None or call.get("cost_usd") is None
        total += Used(
            calls=1,
            input_tokens=_sum(usage, INPUT),
            output_tokens=_sum(usage, OUTPUT),
            model_s=call.get("latency_s") or 0.0,
            cost_usd=Decimal(call.get("cost_usd") or 0),
            unknown=int(unknown),
        )
    return total


def by_tier(outcomes: Iterable[Outcome]) -> dict[str, Used]:
    """What each tier used, in the order in which tiers first appear."""
    calls: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        for attempt in outcome.attempts:
            calls[attempt["tier"]].extend(attempt["calls"])
    return {tier: used_by(tier_calls) for tier, tier_calls in calls.items()}


def second_tier_alone(outcomes: Sequence[Outcome], tier: str) -> Used | None:
    """The estimate for all jobs; None where a feature sent no job to that tier."""
    total = Used()
    for feature in {one.row.feature for one in outcomes}:
        mine = [one for one in outcomes if one.row.feature == feature]
        there = [
            used_by(call for attempt in _on(tier, one) for call in attempt["calls"]) for one in mine
        ]
        there = [used for used in there if used.calls and used.input_tokens]
        if not there:
            return None
        share = len(mine) / len(there)
        spent = sum(there, Used())
        total += Used(
            calls=len(mine),
            input_tokens=spent.input_tokens * share,
            output_tokens=spent.output_tokens * share,
            model_s=spent.model_s * share,
            cost_usd=spent.cost_usd * Decimal(str(share)),
        )
    return total


def _on(tier: str, outcome: Outcome) -> list[Mapping[str, Any]]:
    return [attempt for attempt in outcome.attempts if attempt["tier"] == tier]
