"""What a feature's jobs used and cost, and what they would cost at a given volume."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.economics.costs import CostQuestion, Costs, Measured, MeasuredTier, Upkeep, costs_of
from tierline.features import Feature, Tier
from tierline.features.prompts import answer_messages
from tierline.pricing import OwnPrices, PricedCall, price_of
from tierline.services.features.find_feature import current_version
from tierline.storage.money.prices import own_prices
from tierline.storage.reports import economics
from tierline.storage.reports.economics import TierMeans
from tierline.storage.reports.feature_sums import Window
from tierline.storage.reports.uncounted import snapshot
from tierline.views.reports.reports import Economics, TierEconomics, UpkeepCost, WaysOfRunning

EVERY = 1  # every job counts; earlier releases read a sample of many
FLEX = "flex"  # the slower and cheaper service tier, which some sellers offer


def economics_of(
    connection: Connection[Any],
    name: str,
    since: datetime,
    until: datetime | None,
    question: CostQuestion | None = None,
) -> Economics:
    """Means and standard deviations by tier (all versions) and by job (the current version).

    Covers jobs submitted in [since, until); without `until`, up to now. Unknown values are None.
    With a question, also the cost of each way to run the feature. Raises NotFound, InvalidInput,
    and Conflict if something cannot be calculated.
    """
    to = datetime.now(UTC) if until is None else until
    if since >= to:
        raise InvalidInput([Problem("from is not before to", "/from")])
    version = current_version(connection, name)
    feature = version.read()
    window = Window(name, since, until)
    with snapshot(connection):
        rows = {row.tier: row for row in economics.by_tier(connection, window)}
        jobs = economics.by_job(connection, window, version.id, feature.tiers[-1].name)
        upkeep = economics.upkeep(connection, window)
    own = own_prices(connection)
    measured = Measured(
        every=EVERY,
        known_jobs=jobs.known_jobs,
        cost_usd=jobs.cost_usd,
        deviation_usd=jobs.cost_deviation_usd,
        began_before_last=jobs.began_before_last,
        escalated=jobs.escalated,
        upkeep=[Upkeep(row.purpose, row.calls, row.cost_usd) for row in upkeep],
        tiers=[
            _measured(feature, tier, rows.get(tier.name, _no_attempts(tier.name)), own)
            for tier in feature.tiers
        ],
    )
    return Economics(
        feature=name,
        since=since,
        to=to,
        every=EVERY,
        jobs=jobs.jobs,
        began_before_last=jobs.began_before_last,
        escalated=jobs.escalated,
        known_jobs=jobs.known_jobs,
        cost_usd=jobs.cost_usd,
        cost_deviation_usd=jobs.cost_deviation_usd,
        upkeep=[UpkeepCost.model_validate(row) for row in upkeep],
        tiers=[
            _tier_view(tier, measured_tier, rows.get(tier.name, _no_attempts(tier.name)))
            for tier, measured_tier in zip(feature.tiers, measured.tiers, strict=True)
        ],
        costs=None
        if question is None
        else WaysOfRunning.model_validate(_costs(feature, measured, question)),
    )


def _no_attempts(tier: str) -> TierMeans:
    return TierMeans(tier, 0, 0, 0, None, None, None, None, None)


def _measured(feature: Feature, tier: Tier, row: TierMeans, own: OwnPrices) -> MeasuredTier:
    now, model = datetime.now(UTC), tier.models[0]
    return MeasuredTier(
        known_attempts=row.known_attempts,
        unknown_attempts=row.unknown_attempts,
        cost_usd=row.cost_usd,
        deviation_usd=row.cost_deviation_usd,
        input_tokens=row.input_tokens or Decimal(0),
        output_tokens=row.output_tokens or Decimal(0),
        prompt_characters=0
        if tier.is_micro
        else sum(len(message.content) for message in answer_messages(feature, tier, "")),
        price=price_of(model, PricedCall(now, tier.service_tier), tier.prices, own),
        flex=None if tier.is_micro else price_of(model, PricedCall(now, FLEX), {}, own),
    )


def _tier_view(tier: Tier, measured: MeasuredTier, row: TierMeans) -> TierEconomics:
    return TierEconomics(
        tier=tier.name,
        model=str(tier.models[0]),
        attempts=row.attempts,
        known_attempts=row.known_attempts,
        unknown_cost_attempts=row.unknown_attempts,
        cost_usd=row.cost_usd,
        cost_deviation_usd=row.cost_deviation_usd,
        input_tokens=_number(row.input_tokens),
        cached_input_tokens=_number(row.cached_input_tokens),
        output_tokens=_number(row.output_tokens),
        flex_price=None if measured.flex is None else measured.flex.to_dict(),
        prompt_characters=measured.prompt_characters,
    )


def _costs(feature: Feature, measured: Measured, question: CostQuestion) -> Costs:
    try:
        return costs_of(feature, measured, question)
    except ImportError as missing:
        raise Conflict(
            f"intervals need the extra `routing` where the API runs ({missing.name} is missing): "
            "'make setup' installs it"
        ) from None


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
