"""From what was measured of a feature, or is assumed, to its ways of running and their costs."""

from dataclasses import dataclass
from decimal import Decimal

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.economics.estimates import Estimate
from tierline.economics.levers import Lever, TierUse, levers
from tierline.economics.scenarios import (
    BreakEven,
    Machine,
    Scenario,
    Volume,
    Way,
    break_evens,
    scenario,
)
from tierline.features import Feature, Tier
from tierline.pricing import Price
from tierline.pricing.price import MILLION

FEWEST = 30  # attempts, or jobs: with fewer nothing is taken for measured
NOTHING = Estimate.exact(Decimal(0))


@dataclass(frozen=True)
class EconomicsResult:
    """All that is shown."""

    feature: str
    volume: Volume
    ways: list[Way]
    scenarios: list[Scenario]
    break_evens: list[BreakEven]
    levers: list[Lever]
    notes: list[str]  # what was measured, and what is assumed


@dataclass(frozen=True)
class Assumed:
    """What is said where nothing was measured; None: nothing is."""

    input_tokens: Decimal | None
    output_tokens: Decimal | None
    escalation_rate: Decimal | None


def reckon(
    shown: JSON,
    measured: JSON,
    assumed: Assumed,
    volume: Volume,
    machine: Machine | None,
    revenue: Decimal | None,
) -> EconomicsResult:
    """`shown`, `measured`: the feature and its economics, as the API tells them. Raises UsageError
    for what has to be assumed, and TierlineError for a tier without a price.
    """
    feature = Feature.from_dict(shown["document"])
    rows = {row["tier"]: row for row in measured["tiers"]}
    notes: list[str] = []
    uses = [
        _use(feature, tier, rows[tier.name], shown["prices"], assumed, notes)
        for tier in feature.tiers
    ]
    if measured["every"] > 1:
        notes.append(f"of every {measured['every']}th job")
    notes += [
        f"not in these: {row['calls']:,} calls to compare answers ({row['purpose']}), "
        f"{row['cost_usd']} USD in all"
        for row in measured["upkeep"]
    ]
    last = uses[-1]
    small = _small(feature, uses)
    ways = [Way(f"{last.name} only", last.cost)]
    escalated = _escalated(feature, measured, assumed, notes)
    if measured["known_jobs"] >= FEWEST:
        mean = Estimate.of_mean(
            Decimal(measured["cost_usd"]),
            Decimal(measured["cost_deviation_usd"]),
            measured["known_jobs"],
        )
        ways.append(Way("as routed now", mean))
        notes.append(f"measured: {measured['known_jobs']:,} jobs of the present version")
    if small is not None and escalated is not None:
        begins_there = feature.first_tier() is not feature.tiers[-1]
        if not begins_there or measured["known_jobs"] < FEWEST:
            first = small.cost.plus(escalated.times(last.cost))
            ways.append(Way(f"{small.name} first", first))
    if small is not None:
        ways.append(Way(f"{small.name} only", small.cost))
    if machine is not None:
        name = last.name if small is None else small.name
        ways.append(Way(f"{name} on a machine of your own", NOTHING, machine))
    return EconomicsResult(
        feature.name,
        volume,
        ways,
        [scenario(way, volume, revenue) for way in ways],
        break_evens(ways, volume),
        levers(_asked(feature, uses, small, escalated), volume),
        notes,
    )


def _small(feature: Feature, uses: list[TierUse]) -> TierUse | None:
    """The first tier that calls a model, where it is not the last; else the micro tier."""
    for tier, use in zip(feature.tiers[:-1], uses, strict=False):
        if not tier.is_micro:
            return use
    return uses[0] if len(uses) > 1 else None


def _use(
    feature: Feature,
    tier: Tier,
    row: JSON,
    prices: JSON,
    assumed: Assumed,
    notes: list[str],
) -> TierUse:
    named = (prices.get(tier.name) or {}).get(str(tier.models[0]))
    price = None if named is None else Price.from_dict(named)
    flex = None
    if tier.service_tier in (None, "auto", "standard"):
        flex = None if row["flex_price"] is None else Price.from_dict(row["flex_price"])
    if row["known_attempts"] >= FEWEST:
        cost = Estimate.of_mean(
            Decimal(row["cost_usd"]), Decimal(row["cost_deviation_usd"]), row["known_attempts"]
        )
        tokens_in = Decimal(repr(row["input_tokens"] or 0.0))
        tokens_out = Decimal(repr(row["output_tokens"] or 0.0))
        notes.append(f"measured: {row['known_attempts']:,} attempts of {tier.name}")
    elif tier.is_micro:
        cost, tokens_in, tokens_out = NOTHING, Decimal(0), Decimal(0)
    else:
        cost, tokens_in, tokens_out = _assumed(feature, tier, row, price, assumed, notes)
    written = Decimal(row["prompt_characters"]) / CHARACTERS_PER_TOKEN
    return TierUse(
        name=tier.name,
        asked=NOTHING,
        cost=cost,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        fixed_share=min(Decimal(1), written / tokens_in) if tokens_in else Decimal(0),
        price=price,
        flex=flex,
    )


def _assumed(
    feature: Feature, tier: Tier, row: JSON, price: Price | None, assumed: Assumed, notes: list[str]
) -> tuple[Estimate, Decimal, Decimal]:
    if price is None:
        unknown = row["unknown_cost_attempts"]
        why = f", and of {unknown} attempts the cost is unknown" if unknown else ""
        raise TierlineError(
            f"tier {tier.name}: {tier.models[0]} has no price{why}: give one by 'tierline prices "
            "set', or under the tier's prices"
        )
    if assumed.input_tokens is None or assumed.output_tokens is None:
        raise UsageError(
            f"tier {tier.name} of {feature.name} has {row['known_attempts']} attempts of known "
            f"cost in the last 30 days, and {FEWEST} are the least: say what to assume by "
            "--input-tokens and --output-tokens"
        )
    of_input, of_output = price.input_usd_per_mtok, price.output_usd_per_mtok
    cost = (assumed.input_tokens * of_input + assumed.output_tokens * of_output) / MILLION
    notes.append(
        f"assumed: {assumed.input_tokens:,} tokens in and {assumed.output_tokens:,} out on "
        f"{tier.name}, at the price of {tier.models[0]}; nothing was measured"
    )
    return Estimate.exact(cost), assumed.input_tokens, assumed.output_tokens


def _escalated(
    feature: Feature, measured: JSON, assumed: Assumed, notes: list[str]
) -> Estimate | None:
    """The share of jobs that leave the first tier; None: unknown."""
    if assumed.escalation_rate is not None:
        notes.append(f"assumed: {assumed.escalation_rate:.1%} escalate")
        return Estimate.exact(assumed.escalation_rate)
    begins_there = feature.first_tier() is not feature.tiers[-1]
    began = measured["began_before_last"]
    if begins_there and began >= FEWEST:
        escalated = min(measured["escalated"], began)
        notes.append(f"measured: {escalated:,} of {began:,} jobs escalated")
        return Estimate.of_share(escalated, began)
    if len(feature.tiers) > 1:
        notes.append("how many would escalate is unknown: --escalation-rate says what to assume")
    return None


def _asked(
    feature: Feature, uses: list[TierUse], small: TierUse | None, escalated: Estimate | None
) -> list[TierUse]:
    """The tiers that are asked now, with how often."""
    from dataclasses import replace

    one = Estimate.exact(Decimal(1))
    if small is None or feature.first_tier() is feature.tiers[-1]:
        return [replace(uses[-1], asked=one)]
    if escalated is None:
        return [replace(small, asked=one)]
    return [replace(small, asked=one), replace(uses[-1], asked=escalated)]
