"""The operator's own prices: setting a price, and caching the prices where calls are paid for."""

import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline import providers
from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.features import Feature, ModelRef
from tierline.features.model_names import name_fault
from tierline.pricing import OwnPrices, Price
from tierline.pricing.estimates import prices_of
from tierline.storage.db.repeat import repeat
from tierline.storage.money import prices

LOOK_S = 5.0  # the greatest age of a process's cached prices
LEAD_S = 2 * LOOK_S  # a price begins this long after it is set: by then every process knows it
MEASURED_LEAST_S = 10.0  # a server that was busy for less cannot be measured
MOST_PER_MTOK = Decimal(1_000_000)  # USD, the same limit as for a price that is typed in
SMALLEST = Decimal("0.000001")  # USD per million tokens: a measured price is rounded to it
_TERMS = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Hour:
    """A server that is paid by the hour, and its throughput in tokens per second."""

    usd: Decimal
    tokens_per_s: float | None = None
    measured_hours: float | None = None  # measure it from the calls of the last hours


def set_price(
    connection: Connection[Any],
    model: str,
    price: Price | Hour | None,
    *,
    terms: str = "",
    since: datetime | None = None,
    note: str = "",
) -> Mapping[str, Any]:
    """Set the price of exactly this model from `since` on, or from LEAD_S from now.

    None withdraws the own price, so that the list price applies again. Costs of past calls do not
    change. Raises InvalidInput for invalid values, Conflict if `since` is in the past or taken.
    """
    _refuse_unfit(model, terms)
    if isinstance(price, Hour):
        price, origin = by_the_hour(connection, model, price)
        note = f"{note}; {origin}" if note else origin
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    row = prices.add_price(connection, model, terms, since or LEAD_S, price, note)
    if row is None:
        raise Conflict(
            f"a price of {model} cannot begin then: choose a time in the future at which no other "
            "of its prices begins; costs of past calls do not change"
        )
    return row


def list_prices(connection: Connection[Any], model: str | None = None) -> list[dict[str, Any]]:
    """The operator's own prices by model, the newest first."""
    return prices.list_prices(connection, model)


def prices_now(connection: Connection[Any], feature: Feature) -> dict[str, JSON]:
    """By tier and model: the price in force for a call now, None if it is unknown."""
    return prices_of(feature, prices.own_prices(connection), datetime.now(UTC))


def by_the_hour(connection: Connection[Any], model: str, hour: Hour) -> tuple[Price, str]:
    """The price that follows from a server's hourly cost, and how it was calculated.

    With a throughput it is a price per token. Without one, each call costs the time that it took,
    which is too much where calls share the server.
    """
    rate = hour.tokens_per_s
    if hour.measured_hours is not None:
        tokens, busy_s = prices.throughput(connection, model, hour.measured_hours)
        if busy_s < MEASURED_LEAST_S:
            raise Conflict(
                f"{model} was busy for {busy_s:.1f} s in the last {hour.measured_hours:g} hours: "
                f"too little to measure; {MEASURED_LEAST_S:g} s are needed"
            )
        rate = tokens / busy_s
    if rate is None:
        zero = Decimal(0)
        hourly = Price(zero, zero, zero, zero, zero, usd_per_hour=hour.usd)
        return hourly, f"{hour.usd} USD an hour, by the time of each call"
    exact = hour.usd / 3600 / Decimal(repr(rate)) * 1_000_000
    if exact > MOST_PER_MTOK:
        raise InvalidInput(
            [
                Problem(
                    f"{hour.usd} USD an hour at {rate:g} tokens/s is more than "
                    f"{MOST_PER_MTOK:,} USD per million tokens: is the throughput right?",
                    "/price/tokens_per_s",
                )
            ]
        )
    per_mtok = exact.quantize(SMALLEST)
    return (
        Price(per_mtok, per_mtok, per_mtok, per_mtok, per_mtok),
        f"{hour.usd} USD an hour at {rate:.1f} tokens/s",
    )


class PriceBook:
    """The operator's prices as this process knows them, read again when they are LOOK_S old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: weakref.WeakKeyDictionary[ConnectionPool[Any], tuple[float, OwnPrices]] = (
            weakref.WeakKeyDictionary()
        )

    def own(self, pool: ConnectionPool[Any], keep_on: Callable[[], bool]) -> OwnPrices:
        """The own prices in that database. While it is away, waits as long as `keep_on()` is true;
        raises GaveUp after that.
        """
        cached = self._known.get(pool)
        if cached is None or time.monotonic() - cached[0] > LOOK_S:
            read = repeat(pool, prices.own_prices, keep_on=keep_on)
            with self._lock:
                self._known[pool] = cached = (time.monotonic(), read)
        return cached[1]

    def forget(self) -> None:
        """Drop the cached prices, so that the next call reads them."""
        with self._lock:
            self._known.clear()


BOOK = PriceBook()
"""The price book of this process."""


def _refuse_unfit(model: str, terms: str) -> None:
    problems = []
    try:
        ref = ModelRef.parse(model)
    except ValueError as error:
        problems.append(Problem(str(error), "/model"))
    else:
        if ref.provider not in providers.known_providers():
            names = ", ".join(providers.known_providers())
            problems.append(Problem(f"unknown provider {ref.provider!r}: one of {names}", "/model"))
        elif (wrong := name_fault(ref.model)) is not None:
            problems.append(Problem(wrong, "/model"))
    if terms and not _TERMS.fullmatch(terms):
        problems.append(Problem("must consist of small letters, digits and - _ .", "/service_tier"))
    if problems:
        raise InvalidInput(problems)
