"""What a feature's jobs used and cost, as the API tells it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.errors import InvalidInput, Problem
from tierline.base.formats import usd, when
from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.features.prompts import answer_messages
from tierline.pricing import Asked, OwnPrices, price_of
from tierline.services.features.find_feature import current_version
from tierline.storage.money.prices import own_prices
from tierline.storage.reports import economics
from tierline.storage.reports.reports import Window

FLEX = "flex"  # the service tier that is slower and cheaper, where a seller has it


def economics_of(
    connection: Connection[Any], name: str, since: datetime, until: datetime
) -> dict[str, JSON]:
    """Means and standard deviations by tier, of all versions, and by job, of the present one; of
    those submitted in [since, until); of a sample of them where they are many. What nobody knows is
    null. Raises NotFound, InvalidInput.
    """
    if since >= until:
        raise InvalidInput([Problem("from is not before to", "/from")])
    version = current_version(connection, name)
    feature = version.read()
    window = Window(name, since, until)
    every = economics.sampled(connection, window)
    rows = {row["tier"]: row for row in economics.by_tier(connection, window, every)}
    jobs = economics.by_job(connection, window, version.id, feature.tiers[-1].name, every)
    own = own_prices(connection)
    return {
        "feature": name,
        "from": when(since),
        "to": when(until),
        "every": every,
        "jobs": jobs["jobs"],
        "began_before_last": jobs["began_before_last"],
        "escalated": jobs["escalated"],
        "known_jobs": jobs["known"],
        "cost_usd": _usd(jobs["cost_usd"]),
        "cost_deviation_usd": _usd(jobs["cost_deviation_usd"]),
        "upkeep": [
            {**row, "cost_usd": usd(row["cost_usd"])}
            for row in economics.upkeep(connection, window)
        ],
        "tiers": [_tier_json(feature, tier, rows.get(tier.name), own) for tier in feature.tiers],
    }


def _tier_json(
    feature: Feature, tier: Tier, row: dict[str, Any] | None, own: OwnPrices
) -> dict[str, JSON]:
    found = row or {}
    flex = price_of(tier.models[0], Asked(datetime.now(UTC), FLEX), {}, own)
    return {
        "tier": tier.name,
        "model": str(tier.models[0]),
        "attempts": found.get("attempts", 0),
        "known_attempts": found.get("known", 0),
        "unknown_cost_attempts": found.get("unknown", 0),
        "cost_usd": _usd(found.get("cost_usd")),
        "cost_deviation_usd": _usd(found.get("cost_deviation_usd")),
        "input_tokens": _number(found.get("input_tokens")),
        "cached_input_tokens": _number(found.get("cached_input_tokens")),
        "output_tokens": _number(found.get("output_tokens")),
        "flex_price": None if tier.is_micro or flex is None else flex.to_dict(),
        "prompt_characters": 0
        if tier.is_micro
        else sum(len(message.content) for message in answer_messages(feature, tier, "")),
    }


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else usd(amount)


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
