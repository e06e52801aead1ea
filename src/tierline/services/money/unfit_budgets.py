"""Which tiers a budget can never pay for: one call may cost more than the whole budget."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.formats import usd
from tierline.features import Feature, Tier
from tierline.features.prompts import answer_messages
from tierline.pricing import Price
from tierline.providers.types import CompletionRequest
from tierline.services.money.budgets import most_usd
from tierline.services.money.prices import prices_now
from tierline.storage.features.features import current_versions, readable

MOST_WARNINGS = 5


def unfit(connection: Connection[Any], limit_usd: Decimal, *, hard: bool) -> list[str]:
    """A warning for each tier of an applied feature whose shortest call may cost more than
    `limit_usd`. A soft budget does not refuse first tiers.
    """
    warnings = []
    for feature in readable(current_versions(connection)):
        prices = prices_now(connection, feature)
        for tier in feature.allowed_tiers()[0 if hard else 1 :]:
            amount = max(_worst_cases(feature, tier, prices.get(tier.name) or {}), default=None)
            if amount is not None and amount > limit_usd:
                warnings.append(
                    f"does not fit {feature.name}, tier {tier.name}: one call may cost up to "
                    f"{usd(amount)} USD, so that tier is never asked under this budget"
                )
    left_out = len(warnings) - MOST_WARNINGS
    return warnings[:MOST_WARNINGS] + ([f"and {left_out} more tiers"] if left_out > 0 else [])


def _worst_cases(feature: Feature, tier: Tier, prices: Any) -> Iterator[Decimal]:
    """What a call with an empty input may cost, for each model with a price."""
    for model in tier.models:
        price = prices.get(str(model))
        if price is None or tier.is_micro:
            continue
        request = CompletionRequest(
            model=model,
            messages=answer_messages(feature, tier, ""),
            max_tokens=tier.max_tokens,
            temperature=tier.temperature,
            timeout_s=tier.timeout_s,
            json_schema=None if feature.plain_text else feature.output_schema,
            reasoning_effort=tier.reasoning_effort,
            service_tier=tier.service_tier,
        )
        yield most_usd(request, Price.from_dict(price))
