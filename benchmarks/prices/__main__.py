"""`python -m benchmarks.prices`: the price of a call, and its cost, without anything around.

One look-up is what a worker does after each call: the price in force for this model, service tier
and moment, among the operator's own prices and the public list, and then the cost of its usage. The
clock runs around many in a row, each of another model of the list. The yardstick is genai-prices,
which the list is compiled from, for the same models.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.usage import Usage
from tierline.features import ModelRef
from tierline.pricing import OwnPrices, Price, PricedCall, cost_usd, price_of

TARGET_US = 50.0
MODELS = ("gpt-5", "gpt-6.1-sol", "gpt-6-luna", "gpt-4o-mini", "gpt-5.6-terra", "gpt-4.1")
AT = datetime(2026, 11, 25, tzinfo=UTC)
OWN: OwnPrices = {
    (f"openai:tuned-{number}", ""): tuple(
        (AT - timedelta(days=day), Price(Decimal(1), Decimal(2))) for day in range(20)
    )
    for number in range(500)
}


def ours(model: str) -> object:
    conditions = PricedCall(AT, "default", model)
    price = price_of(ModelRef("openai", model), conditions, None, OWN)
    return cost_usd(Usage(900, 60, 400, reasoning_tokens=120), price, 0.5)


def theirs(model: str) -> object:
    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    usage = TheirUsage(input_tokens=1300, output_tokens=180, cache_read_tokens=400)
    return calc_price(usage, model, provider_id="openai", genai_request_timestamp=AT).total_price


def microseconds(look_up: Callable[[str], object], times: int) -> list[float]:
    """Of one look-up, by round; the first round, which fills what is remembered, is left out."""
    times_us = []
    for _ in range(6):
        began = time.perf_counter()
        for number in range(times):
            look_up(MODELS[number % len(MODELS)])
        times_us.append((time.perf_counter() - began) / times * 1e6)
    return times_us[1:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prices", description=__doc__)
    arguments = read_arguments(parser, {})
    times = 2_000 if arguments.short else 20_000
    assert ours("gpt-5") == theirs("gpt-5"), "the same usage costs the same"
    progress("the price and cost of a call")
    mine = microseconds(ours, times)
    yardstick = microseconds(theirs, times // 10)
    figures = [
        Figure(
            "price and cost of a call",
            *(median(mine), "us", TARGET_US),
            at_most=True,
            low=min(mine),
            high=max(mine),
        ),
        Figure(
            "… by genai-prices, which the list is from",
            *(median(yardstick), "us"),
            low=min(yardstick),
            high=max(yardstick),
        ),
    ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
