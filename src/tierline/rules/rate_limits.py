"""How many requests and tokens a minute a provider accepts: limits, and a bucket for each.

A bucket fills steadily and lets a burst through. Both are sized so that no 60 seconds, wherever
they begin, exceed the limit: 5% at once, the rest spread over the minute. Pure: no clock is read
here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BURST = 0.05  # share of a minute's limit that may go out at once
_ENTRY = re.compile(r"([a-z0-9][a-z0-9_.-]*(?::[^\s=,]+)?)=([0-9]{1,12}|-)(?:/([0-9]{1,12}|-))?")
FORM = (
    "NAME=REQUESTS/TOKENS a minute, with commas between, '-' for no limit: openai:gpt-5=500/30000"
)


@dataclass(frozen=True)
class RateLimit:
    """What may be sent in a minute; None: no limit."""

    requests: int | None = None
    tokens: int | None = None

    def share(self, processes: int) -> "RateLimit":
        """One process's share, for processes that cannot coordinate. At least one request."""
        requests, tokens = (
            None if most is None else max(1, most // max(1, processes))
            for most in (self.requests, self.tokens)
        )
        return RateLimit(requests, tokens)


def parse_limits(text: str) -> Mapping[str, RateLimit]:
    """The limits by provider or by provider:model. Raises ValueError, which shows the expected
    form.
    """
    limits: dict[str, RateLimit] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        entry = _ENTRY.fullmatch(part)
        if entry is None:
            raise ValueError(f"{part!r} is not {FORM}")
        name, *amounts = entry.groups()
        if name in limits:
            raise ValueError(f"{name} is given twice")
        limit = RateLimit(*(None if one in {None, "-"} else int(one) for one in amounts))
        if 0 in {limit.requests, limit.tokens}:
            raise ValueError(f"{part!r} would let nothing through")
        limits[name] = limit
    return limits


def limits_of(model: str, limits: Mapping[str, RateLimit]) -> Mapping[str, RateLimit]:
    """The limits that apply to a call to `model` (provider:model), by name."""
    names = (model, model.partition(":")[0])
    return {name: limits[name] for name in names if name in limits}


def burst(most: int) -> int:
    """How many of `most` a minute may go out at once: at least one."""
    return max(1, int(most * BURST))


def refill_per_s(most: int) -> float:
    """The refill rate of a bucket of `most` a minute: burst and refill make `most` in 60 s."""
    return (most - burst(most) + 1) / 60.0


class Bucket:
    """One bucket in one process. Not thread-safe."""

    def __init__(self, most: int, now_s: float) -> None:
        self._burst = burst(most)
        self._per_s = refill_per_s(most)
        self._level = float(self._burst)
        self._at_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` may go out; 0: now. An amount above the burst goes out when it is
        full.
        """
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        lacking = min(amount, self._burst) - self._level
        return 0.0 if lacking <= 0 else lacking / self._per_s

    def take(self, amount: float) -> None:
        """Record that `amount` went out. The level may become negative; a negative amount is a
        refund.
        """
        self._level -= amount

    def room(self, now_s: float) -> int:
        """How many single units may go out now."""
        self.wait_s(0.0, now_s)
        return max(0, int(self._level))
