"""A price as a value, and what a call costs at it. Money is Decimal in USD and is not rounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tierline.base.json_text import JSON
from tierline.base.usage import Usage

MILLION = Decimal(1_000_000)
HOUR_S = Decimal(3600)
NOTHING = Decimal(0)

_NEEDED = ("input_usd_per_mtok", "output_usd_per_mtok")
_CACHED = "cached_input_usd_per_mtok"
_WRITES = ("cache_write_5m_usd_per_mtok", "cache_write_1h_usd_per_mtok")
_HOUR = "usd_per_hour"
RATES = (*_NEEDED, _CACHED, *_WRITES)  # a rate's name is its key in files, rows and responses


@dataclass(frozen=True)
class Price:
    """USD per million tokens of each kind (the kinds are disjoint), and per hour of the call's
    time.

    A rate of None is unknown, and then the cost of a call that needs it is unknown. Reasoning costs
    the same as output.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_5m_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    usd_per_hour: Decimal = NOTHING  # for the duration of the call, in addition to its tokens
    long_context: "tuple[LongContext, ...]" = ()  # the longest prompts first

    def for_prompt(self, input_tokens: int) -> "Price":
        """The price of a call with that many input tokens of all kinds.

        Providers charge the higher rate for every token of a call beyond the step, not only for
        those above it.
        """
        for step in self.long_context:
            if input_tokens > step.above_input_tokens:
                return step.price
        return self

    def to_dict(self) -> dict[str, JSON]:
        """The price as JSON. Derived values are left out."""
        rates: dict[str, JSON] = {name: str(getattr(self, name)) for name in _NEEDED}
        cached = self.cached_input_usd_per_mtok
        if cached != self.input_usd_per_mtok:
            rates[_CACHED] = None if cached is None else str(cached)
        for name in _WRITES:
            rate = getattr(self, name)
            if rate is not None:
                rates[name] = str(rate)
        if self.usd_per_hour:
            rates[_HOUR] = str(self.usd_per_hour)
        if self.long_context:
            rates["long_context"] = [
                {"above_input_tokens": step.above_input_tokens} | step.price.to_dict()
                for step in self.long_context
            ]
        return rates

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Price":
        """The inverse of `to_dict`. Without a key for cached input, it costs what input costs."""
        rates = {name: _rate(data[name]) for name in RATES if name in data}
        rates.setdefault(_CACHED, rates["input_usd_per_mtok"])
        return cls(
            **rates,  # type: ignore[arg-type]  # the two that are needed are never null
            usd_per_hour=Decimal(str(data.get(_HOUR, 0))),
            long_context=tuple(
                LongContext(step["above_input_tokens"], cls.from_dict(step))
                for step in data.get("long_context", ())
            ),
        )


@dataclass(frozen=True)
class LongContext:
    """The price of every token of a call whose prompt has more tokens than this."""

    above_input_tokens: int  # of every kind: uncached, cached and written to a cache
    price: Price


FREE = Price(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


def cost_usd(usage: Usage | None, price: Price | None, latency_s: float = 0.0) -> Decimal | None:
    """The exact cost of one call in USD; None if a price or a count that it needs is unknown.

    `latency_s` is the duration of the call, for servers that are paid by the hour.
    """
    if price is None:
        return None
    by_time = NOTHING
    if price.usd_per_hour:
        by_time = price.usd_per_hour * Decimal(repr(latency_s)) / HOUR_S
        if not price.input_usd_per_mtok and not price.output_usd_per_mtok:
            return by_time
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = usage.cached_input_tokens or 0
    for_5m = usage.cache_write_5m_tokens or 0
    for_1h = usage.cache_write_1h_tokens or 0
    rates = price
    if price.long_context:
        rates = price.for_prompt(usage.input_tokens + cached + for_5m + for_1h)
    total = (
        usage.input_tokens * rates.input_usd_per_mtok
        + (usage.output_tokens + (usage.reasoning_tokens or 0)) * rates.output_usd_per_mtok
    )
    for tokens, rate in (
        (cached, rates.cached_input_usd_per_mtok),
        (for_5m, rates.cache_write_5m_usd_per_mtok),
        (for_1h, rates.cache_write_1h_usd_per_mtok),
    ):
        if tokens:
            if rate is None:
                return None
            total += tokens * rate
    return total / MILLION + by_time


def _rate(value: JSON) -> Decimal | None:
    return None if value is None else Decimal(str(value))
