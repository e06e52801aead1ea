"""The highest possible cost of a call, before it is sent. It is reserved from a budget."""

from decimal import Decimal

from tierline.pricing.price import HOUR_S, MILLION, Price

OVERHEAD_TOKENS = 1_024
"""Tokens beyond the messages and the schema: a chat template, and what a provider adds for a
schema.
"""


def most_input_tokens(sent_bytes: int) -> int:
    """An upper bound of input tokens: every token has at least one byte. `sent_bytes`: messages and
    schema, UTF-8.
    """
    return sent_bytes + OVERHEAD_TOKENS


def worst_case_usd(
    price: Price, input_tokens: int, output_tokens: int, timeout_s: float
) -> Decimal:
    """The highest possible cost of a call with at most this many tokens and seconds, in USD.

    `output_tokens` includes reasoning. All input is charged at the highest input rate, cached or
    not, and at the most expensive step for a prompt of that length.
    """
    reached = [step.price for step in price.long_context if input_tokens > step.above_input_tokens]
    by_tokens = max(
        input_tokens * _dearest_input(rates) + output_tokens * rates.output_usd_per_mtok
        for rates in (price, *reached)
    )
    return by_tokens / MILLION + price.usd_per_hour * Decimal(repr(timeout_s)) / HOUR_S


def _dearest_input(rates: Price) -> Decimal:
    return max(
        rate
        for rate in (
            rates.input_usd_per_mtok,
            rates.cached_input_usd_per_mtok,
            rates.cache_write_5m_usd_per_mtok,
            rates.cache_write_1h_usd_per_mtok,
        )
        if rate is not None
    )
