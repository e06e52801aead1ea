"""How many requests and tokens a minute a provider lets us send: limits, and a bucket of each.

A bucket fills steadily and lets a burst through. Both are cut so that no 60 seconds, wherever they
begin, see more than the limit: a twentieth at once, the rest spread over the minute. Pure: no clock
is read here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BURST = 0.05  # of a minute's limit, which may go out at once
_ENTRY = re.compile(r"([a-z0-9][a-z0-9_.-]*(?::[^\s=,]+)?)=([0-9]{1,12}|-)(?:/([0-9]{1,12}|-))?")
FORM = (
    "NAME=REQUESTS/TOKENS a minute, with commas between, '-' for no limit: openai:gpt-5=500/30000"
)


@dataclass(frozen=True)
class RateLimit:
    """What may be sent in a minute; None: as much as one likes."""

    requests: int | None = None
    tokens: int | None = None

    def share(self, processes: int) -> "RateLimit":
        """One process's part of it, where they cannot ask each other. One request at least."""
        requests, tokens = (
            None if most is None else max(1, most // max(1, processes))
            for most in (self.requests, self.tokens)
        )
        return RateLimit(requests, tokens)


def parse_limits(text: str) -> Mapping[str, RateLimit]:
    """The limits by provider or by provider:model. Raises ValueError with the form they have."""
    found: dict[str, RateLimit] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        entry = _ENTRY.fullmatch(part)
        if entry is None:
            raise ValueError(f"{part!r} is not {FORM}")
        name, *amounts = entry.groups()
        if name in found:
            raise ValueError(f"{name} is given twice")
        limit = RateLimit(*(None if one in {None, "-"} else int(one) for one in amounts))
        if 0 in {limit.requests, limit.tokens}:
            raise ValueError(f"{part!r} would let nothing through")
        found[name] = limit
    return found


def limits_of(model: str, limits: Mapping[str, RateLimit]) -> Mapping[str, RateLimit]:
    """The limits that a call to `model` (provider:model) comes under, by name."""
    names = (model, model.partition(":")[0])
    return {name: limits[name] for name in names if name in limits}


def burst(most: int) -> int:
    """What may go out at once of `most` a minute: one at least."""
    return max(1, int(most * BURST))


def refill_per_s(most: int) -> float:
    """How fast a bucket of `most` a minute fills, so that burst and refill make `most` in 60 s."""
    return (most - burst(most) + 1) / 60.0


class Bucket:
    """One bucket in one process. Not for several threads at once."""

    def __init__(self, most: int, now_s: float) -> None:
        self._burst = burst(most)
        self._per_s = refill_per_s(most)
        self._level = float(self._burst)
        self._at_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` may go out; 0: now. More than the burst goes when it is full."""
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        lacking = min(amount, self._burst) - self._level
        return 0.0 if lacking <= 0 else lacking / self._per_s

    def take(self, amount: float) -> None:
        """It went out. What is more than the level is owed; a negative amount is given back."""
        self._level -= amount

    def room(self, now_s: float) -> int:
        """How many may go out now, one by one."""
        self.wait_s(0.0, now_s)
        return max(0, int(self._level))
