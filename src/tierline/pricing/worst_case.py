"""The most that one call can cost, before it is sent: what is reserved of a budget for it."""

from decimal import Decimal

from tierline.pricing.price import HOUR_S, MILLION, Price

OVERHEAD_TOKENS = 1_024
"""Beside what we send: a chat's template, and what a provider adds for the sake of a schema."""


def most_input_tokens(sent_bytes: int) -> int:
    """No token of a text is shorter than a byte of it. `sent_bytes`: messages and schema, UTF-8."""
    return sent_bytes + OVERHEAD_TOKENS


def worst_case_usd(
    price: Price, input_tokens: int, output_tokens: int, timeout_s: float
) -> Decimal:
    """The most that a call of at most so many tokens and seconds can cost, in USD.

    `output_tokens` holds the reasoning ones. All input at the dearest of what input may cost, kept
    in a cache or not, and at the dearest step that a prompt of that length may be on.
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
