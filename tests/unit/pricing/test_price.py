"""Costs to the last digit, over buckets that are priced apart."""

from decimal import Decimal

import pytest

from tierline.base.usage import Usage
from tierline.pricing import FREE, LongContext, Price, cost_usd

PRICE = Price(Decimal("1.25"), Decimal("10"), Decimal("0.125"))
ANTHROPIC = Price(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"), Decimal(6))


def test_a_cost_is_exact() -> None:
    assert cost_usd(Usage(1, 1, 1), PRICE) == Decimal("0.000011375")


def test_each_bucket_has_its_own_rate() -> None:
    usage = Usage(
        input_tokens=1_000,
        output_tokens=2_000,
        cached_input_tokens=10_000,
        cache_write_5m_tokens=4_000,
        cache_write_1h_tokens=500,
        reasoning_tokens=3_000,
    )
    parts = ["0.003", "0.075", "0.003", "0.015", "0.003"]
    assert cost_usd(usage, ANTHROPIC) == sum(Decimal(part) for part in parts)


def test_a_bucket_whose_rate_is_not_known_makes_the_cost_unknown_only_when_it_is_used() -> None:
    assert cost_usd(Usage(1, 1, cache_write_5m_tokens=1), PRICE) is None
    assert cost_usd(Usage(1, 1, cache_write_5m_tokens=0), PRICE) is not None
    assert cost_usd(Usage(1, 1, 1), Price(Decimal(1), Decimal(1))) is None


def test_cached_tokens_without_a_key_in_a_file_cost_what_input_costs() -> None:
    price = Price.from_dict({"input_usd_per_mtok": "2", "output_usd_per_mtok": "4"})
    assert cost_usd(Usage(10, 0, 90), price) == Decimal("0.0002")


@pytest.mark.parametrize(
    ("usage", "price"),
    [(None, PRICE), (Usage(1, 1), None), (Usage(None, 1), PRICE), (Usage(1, None), PRICE)],
)
def test_a_cost_with_an_unknown_part_is_unknown_and_not_zero(
    usage: Usage | None, price: Price | None
) -> None:
    assert cost_usd(usage, price) is None


def test_a_long_prompt_is_a_cliff_for_the_whole_call() -> None:
    beyond = Price(Decimal(4), Decimal(18), Decimal("0.4"))
    price = Price(
        Decimal(2), Decimal(12), Decimal("0.2"), long_context=(LongContext(200_000, beyond),)
    )
    assert cost_usd(Usage(200_000, 1_000), price) == Decimal("0.412")
    assert cost_usd(Usage(200_001, 1_000), price) == Decimal("0.818004")


def test_what_was_cached_counts_for_the_length_of_the_prompt() -> None:
    beyond = Price(Decimal(4), Decimal(18), Decimal("0.4"))
    price = Price(
        Decimal(2), Decimal(12), Decimal("0.2"), long_context=(LongContext(200_000, beyond),)
    )
    assert cost_usd(Usage(1, 0, 200_000), price) == Decimal("0.080004")


def test_a_server_that_is_paid_by_the_hour_costs_the_time_of_the_call() -> None:
    hourly = Price(Decimal(0), Decimal(0), usd_per_hour=Decimal("1.80"))
    assert cost_usd(Usage(1_000, 1_000), hourly, 2.5) == Decimal("0.00125")
    assert cost_usd(None, hourly, 2.5) == Decimal("0.00125")


@pytest.mark.parametrize(
    "price",
    [
        FREE,
        PRICE,
        ANTHROPIC,
        Price(Decimal(1), Decimal(2)),
        Price(Decimal(1), Decimal(2), Decimal(1), usd_per_hour=Decimal("0.5")),
        Price(Decimal(1), Decimal(2), long_context=(LongContext(9, PRICE),)),
    ],
)
def test_a_price_is_the_same_after_json(price: Price) -> None:
    assert Price.from_dict(price.to_dict()) == price
