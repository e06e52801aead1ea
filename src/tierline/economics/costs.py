"""From what was measured of a feature, or is assumed, to its ways of running and their costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.base.formats import usd
from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.economics.estimates import Estimate
from tierline.economics.levers import Lever, TierUse, levers
from tierline.economics.scenarios import (
    DAY_S,
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
class CostQuestion:
    """At which volume, and what is assumed where nothing was measured; None: nothing is."""

    volume: Volume
    machine: Machine | None = None  # a server of one's own
    revenue_usd: Decimal | None = None  # a month, of what the feature is part of
    input_tokens: Decimal | None = None  # an attempt
    output_tokens: Decimal | None = None  # an attempt
    escalation_rate: Decimal | None = None  # 0 to 1

    def __post_init__(self) -> None:
        """Raises InvalidInput for a peak below the mean."""
        if self.volume.peak_per_s * DAY_S < self.volume.per_day:
            mean = self.volume.per_day / DAY_S
            raise InvalidInput(
                [
                    Problem(
                        f"is {self.volume.peak_per_s:f} requests a second, and "
                        f"{self.volume.per_day:f} a day are {mean:.3g} a second on average: the "
                        "peak is at least that",
                        "/peak_per_s",
                    )
                ]
            )


@dataclass(frozen=True)
class MeasuredTier:
    """What the attempts on a tier used and cost."""

    known_attempts: int  # whose cost is known
    unknown_attempts: int
    cost_usd: Decimal | None  # the mean
    deviation_usd: Decimal | None
    input_tokens: Decimal  # not read from a cache, the mean
    output_tokens: Decimal  # with the reasoning ones
    prompt_characters: int  # without an input
    price: Price | None  # of its first model, in force
    flex: Price | None  # of that model on the slower service tier


@dataclass(frozen=True)
class Upkeep:
    """What comparing answers cost beside the jobs."""

    purpose: str  # of the calls
    calls: int
    cost_usd: Decimal


@dataclass(frozen=True)
class Measured:
    """What the jobs of a feature's present version cost, and its tiers in their order."""

    every: int  # of how many jobs one was looked at
    known_jobs: int  # whose cost is known
    cost_usd: Decimal | None  # of a job, the mean
    deviation_usd: Decimal | None
    began_before_last: int
    escalated: int
    upkeep: Sequence[Upkeep]
    tiers: Sequence[MeasuredTier]


@dataclass(frozen=True)
class Costs:
    """What each way of running the feature costs at a volume."""

    requests_per_day: Decimal
    peak_per_s: Decimal
    scenarios: list[Scenario]
    break_evens: list[BreakEven]
    levers: list[Lever]
    notes: list[str]  # what was measured, and what is assumed


def costs_of(feature: Feature, measured: Measured, question: CostQuestion) -> Costs:
    """Raises InvalidInput for what has to be assumed, and Conflict for a tier without a price."""
    notes: list[str] = []
    uses = [
        _use(feature, tier, of_tier, question, notes)
        for tier, of_tier in zip(feature.tiers, measured.tiers, strict=True)
    ]
    if measured.every > 1:
        notes.append(f"of every {measured.every}th job")
    notes += [
        f"not in these: {row.calls:,} calls to compare answers ({row.purpose}), "
        f"{usd(round(row.cost_usd, 6))} USD in all"
        for row in measured.upkeep
    ]
    small = _small(feature, uses)
    escalated = _escalated(feature, measured, question.escalation_rate, notes)
    ways = _ways(feature, measured, uses, small, escalated, question.machine)
    if measured.known_jobs >= FEWEST:
        notes.append(f"measured: {measured.known_jobs:,} jobs of the present version")
    return Costs(
        question.volume.per_day,
        question.volume.peak_per_s,
        [scenario(way, question.volume, question.revenue_usd) for way in ways],
        break_evens(ways, question.volume),
        levers(_with_attempts(feature, uses, small, escalated), question.volume),
        notes,
    )


def _ways(
    feature: Feature,
    measured: Measured,
    uses: Sequence[TierUse],
    small: TierUse | None,
    escalated: Estimate | None,
    machine: Machine | None,
) -> list[Way]:
    last = uses[-1]
    ways = [Way(f"{last.name} only", last.cost)]
    measured_enough = measured.known_jobs >= FEWEST
    if measured_enough:
        ways.append(
            Way(
                "as routed now",
                _mean(measured.cost_usd, measured.deviation_usd, measured.known_jobs),
            )
        )
    if (
        small is not None
        and escalated is not None
        and not (measured_enough and _begins_early(feature))
    ):
        ways.append(Way(f"{small.name} first", small.cost.plus(escalated.times(last.cost))))
    if small is not None:
        ways.append(Way(f"{small.name} only", small.cost))
    if machine is not None:
        name = last.name if small is None else small.name
        ways.append(Way(f"{name} on a machine of your own", NOTHING, machine))
    return ways


def _begins_early(feature: Feature) -> bool:
    """Whether its jobs begin before the last tier."""
    return feature.first_tier() is not feature.tiers[-1]


def _mean(mean: Decimal | None, deviation: Decimal | None, count: int) -> Estimate:
    return Estimate.of_mean(mean or Decimal(0), deviation or Decimal(0), count)


def _small(feature: Feature, uses: Sequence[TierUse]) -> TierUse | None:
    """The first tier that calls a model, where it is not the last; else the micro tier."""
    for tier, use in zip(feature.tiers[:-1], uses, strict=False):
        if not tier.is_micro:
            return use
    return uses[0] if len(uses) > 1 else None


def _use(
    feature: Feature, tier: Tier, measured: MeasuredTier, question: CostQuestion, notes: list[str]
) -> TierUse:
    if measured.known_attempts >= FEWEST:
        cost = _mean(measured.cost_usd, measured.deviation_usd, measured.known_attempts)
        tokens_in, tokens_out = measured.input_tokens, measured.output_tokens
        notes.append(f"measured: {measured.known_attempts:,} attempts of {tier.name}")
    elif tier.is_micro:
        cost, tokens_in, tokens_out = NOTHING, Decimal(0), Decimal(0)
    else:
        cost, tokens_in, tokens_out = _assumed(feature, tier, measured, question, notes)
    written = Decimal(measured.prompt_characters) / CHARACTERS_PER_TOKEN
    return TierUse(
        name=tier.name,
        attempts=NOTHING,
        cost=cost,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        fixed_share=min(Decimal(1), written / tokens_in) if tokens_in else Decimal(0),
        price=measured.price,
        flex=measured.flex if tier.service_tier in (None, "auto", "standard") else None,
    )


def _assumed(
    feature: Feature, tier: Tier, measured: MeasuredTier, question: CostQuestion, notes: list[str]
) -> tuple[Estimate, Decimal, Decimal]:
    price = measured.price
    if price is None:
        unknown = measured.unknown_attempts
        why = f", and of {unknown} attempts the cost is unknown" if unknown else ""
        raise Conflict(
            f"tier {tier.name}: {tier.models[0]} has no price{why}: give one by 'tierline prices "
            "set', or under the tier's prices"
        )
    if question.input_tokens is None or question.output_tokens is None:
        raise InvalidInput(
            [
                Problem(
                    f"tier {tier.name} of {feature.name} has {measured.known_attempts} attempts of "
                    f"known cost in this time, and {FEWEST} are the least: say what to assume by "
                    "input_tokens and output_tokens (--input-tokens and --output-tokens)"
                )
            ]
        )
    of_input, of_output = price.input_usd_per_mtok, price.output_usd_per_mtok
    cost = (question.input_tokens * of_input + question.output_tokens * of_output) / MILLION
    notes.append(
        f"assumed: {question.input_tokens:,} tokens in and {question.output_tokens:,} out on "
        f"{tier.name}, at the price of {tier.models[0]}; nothing was measured"
    )
    return Estimate.exact(cost), question.input_tokens, question.output_tokens


def _escalated(
    feature: Feature, measured: Measured, rate: Decimal | None, notes: list[str]
) -> Estimate | None:
    """The share of jobs that leave the first tier; None: unknown."""
    if rate is not None:
        notes.append(f"assumed: {rate:.1%} escalate")
        return Estimate.exact(rate)
    began = measured.began_before_last
    if _begins_early(feature) and began >= FEWEST:
        escalated = min(measured.escalated, began)
        notes.append(f"measured: {escalated:,} of {began:,} jobs escalated")
        return Estimate.of_share(escalated, began)
    if len(feature.tiers) > 1:
        notes.append("how many would escalate is unknown: --escalation-rate says what to assume")
    return None


def _with_attempts(
    feature: Feature, uses: Sequence[TierUse], small: TierUse | None, escalated: Estimate | None
) -> list[TierUse]:
    """The tiers that are called now, with how often."""
    one = Estimate.exact(Decimal(1))
    if small is None or not _begins_early(feature):
        return [replace(uses[-1], attempts=one)]
    if escalated is None:
        return [replace(small, attempts=one)]
    return [replace(small, attempts=one), replace(uses[-1], attempts=escalated)]
