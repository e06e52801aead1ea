"""What a run might cost, before anything is sent: for `--dry-run` and for cost caps.

It is an estimate: a token counts as CHARACTERS_PER_TOKEN characters of prompt and input, and every
answer is as long as its tier allows. It leaves out re-asks, retries after errors, caching and the
higher rates of long prompts. A server that is paid by the hour has no estimate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tierline.base.formats import usd
from tierline.base.json_text import JSON
from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.features import Feature, ModelRef, Price, Tier
from tierline.features.prompts import Message, answer_messages, step_messages
from tierline.pricing import OwnPrices, PricedCall, price_of


@dataclass(frozen=True)
class TierEstimate:
    """One tier, as if it were asked about every row."""

    tier: str
    model: str
    input_tokens: int
    output_tokens: int  # at most
    cost_usd: Decimal | None  # None: the model's price is unknown

    def to_dict(self) -> dict[str, JSON]:
        return vars(self) | {"cost_usd": None if self.cost_usd is None else usd(self.cost_usd)}


def prices_of(feature: Feature, own: OwnPrices, at: datetime) -> dict[str, JSON]:
    """By tier and model: the price in force at that time; null if unknown."""
    return {
        tier.name: {
            str(model): None if price is None else price.to_dict()
            for model in tier.models
            for price in [price_of(model, PricedCall(at, tier.service_tier), tier.prices, own)]
        }
        for tier in feature.tiers
    }


def estimates(
    feature: Feature, prices: Mapping[str, JSON], rows: int, characters: int
) -> list[TierEstimate]:
    """One estimate per tier, in order; `characters` is the sum over all inputs."""
    return [
        _of_tier(feature, tier, prices.get(tier.name) or {}, rows, characters)
        for tier in feature.allowed_tiers()
    ]


def models_without_price(feature: Feature, prices: Mapping[str, JSON]) -> list[ModelRef]:
    """Models that a job of the feature may use and whose cost would be unknown."""
    return [
        model
        for tier in feature.allowed_tiers()
        for model in tier.models
        if (prices.get(tier.name) or {}).get(str(model)) is None
    ]


def _of_tier(
    feature: Feature, tier: Tier, prices: Mapping[str, JSON], rows: int, characters: int
) -> TierEstimate:
    answers = feature.answers_on(tier)
    prompt = answers * _length(answer_messages(feature, tier, ""))
    prompt += sum(_length(step_messages(step, "", {})) for step in tier.steps)
    calls = answers + len(tier.steps)
    tokens_in = -(-(prompt * rows + calls * characters) // CHARACTERS_PER_TOKEN)
    written = answers * tier.max_tokens + sum(step.max_tokens for step in tier.steps)
    tokens_out = written * rows
    model = str(tier.models[0])
    named = prices.get(model)
    price = None if named is None else Price.from_dict(named)
    cost = None
    if price is not None and not price.usd_per_hour:
        of_input, of_output = price.input_usd_per_mtok, price.output_usd_per_mtok
        cost = (tokens_in * of_input + tokens_out * of_output) / Decimal(1_000_000)
    return TierEstimate(tier.name, model, tokens_in, tokens_out, cost)


def _length(messages: list[Message]) -> int:
    """The number of characters."""
    return sum(len(message.content) for message in messages)
