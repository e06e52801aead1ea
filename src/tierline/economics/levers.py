"""What would save most: what each lever is worth a month, as far as it can be computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tierline.economics.estimates import Estimate
from tierline.economics.scenarios import DAYS_A_MONTH, Volume
from tierline.pricing import Price
from tierline.pricing.price import MILLION

SHORTER = Decimal("0.25")  # of the output
FEWER = Decimal("0.5")  # of the escalations
MOST = 3


@dataclass(frozen=True)
class TierUse:
    """How a request uses one tier."""

    name: str
    attempts: Estimate  # per request
    cost: Estimate  # USD per attempt
    input_tokens: Decimal  # per attempt, without cached input
    output_tokens: Decimal  # including reasoning
    fixed_share: Decimal  # share of the input that is the same in each request
    price: Price | None  # in force; None: unknown, or free
    flex: Price | None = None  # if the seller has it and the tier does not use it


@dataclass(frozen=True)
class Lever:
    """One measure, and what it saves."""

    name: str
    saves_per_month: Estimate  # USD


def levers(tiers: Sequence[TierUse], volume: Volume) -> list[Lever]:
    """The MOST levers that save most. Tiers are asked as they are now."""
    a_month = volume.per_day * DAYS_A_MONTH
    candidates = [*_fewer_escalations(tiers), *(one for tier in tiers for one in _of_tier(tier))]
    worth = [
        Lever(one.name, one.saves_per_month.scaled(a_month))
        for one in candidates
        if one.saves_per_month.value > 0
    ]
    return sorted(worth, key=lambda one: -one.saves_per_month.value)[:MOST]


def _fewer_escalations(tiers: Sequence[TierUse]) -> list[Lever]:
    """Per request, as in all functions below."""
    if len(tiers) < 2:
        return []
    last = tiers[-1]
    return [Lever("half the escalations", last.attempts.times(last.cost).scaled(FEWER))]


def _of_tier(tier: TierUse) -> list[Lever]:
    savings: list[Lever] = []
    price = tier.price
    if price is None:
        return savings
    output = tier.output_tokens * price.output_usd_per_mtok / MILLION
    savings.append(
        Lever(f"{tier.name}: a quarter less output", tier.attempts.scaled(output * SHORTER))
    )
    cached = price.cached_input_usd_per_mtok
    if cached is not None and cached < price.input_usd_per_mtok:
        less = price.input_usd_per_mtok - cached
        saved = tier.input_tokens * tier.fixed_share * less / MILLION
        savings.append(
            Lever(f"{tier.name}: instructions read from a cache", tier.attempts.scaled(saved))
        )
    if tier.flex is not None and price.output_usd_per_mtok:
        saved = (
            tier.input_tokens * (price.input_usd_per_mtok - tier.flex.input_usd_per_mtok)
            + tier.output_tokens * (price.output_usd_per_mtok - tier.flex.output_usd_per_mtok)
        ) / MILLION
        savings.append(
            Lever(f"{tier.name}: the slower service tier flex", tier.attempts.scaled(saved))
        )
    return savings
