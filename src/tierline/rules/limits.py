"""What one account may ask for, and a token bucket that enforces a rate.

Pure: the caller passes in the clock. Each caller of this module says how exactly its limit holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

BURST_S = 2.0
"""A burst may use this many seconds of the rate at once, because callers rarely come evenly."""


@dataclass(frozen=True)
class Limits:
    """An account's limits. None means the default; without a default there is no limit."""

    max_queued_jobs: int | None = None  # waiting for a worker, in all queues together
    max_jobs_in_progress: int | None = None  # running and hinted, in all queues together
    max_requests_per_s: int | None = None  # to each API process
    max_body_bytes_per_s: int | None = None  # … of bodies

    def over(self, defaults: "Limits") -> "Limits":
        """These limits, with the defaults where a limit is None."""
        return Limits(
            **{
                name: getattr(defaults, name) if own is None else own
                for name, own in self.to_dict().items()
            }
        )

    def to_dict(self) -> dict[str, int | None]:
        return {name: getattr(self, name) for name in LIMITS}

    @classmethod
    def of(cls, row: Mapping[str, int | None]) -> "Limits":
        """The limits in an account's row."""
        return cls(**{name: row[name] for name in LIMITS})


LIMITS = tuple(field.name for field in fields(Limits))


class TokenBucket:
    """Lets `rate` units a second through on average, in bursts of up to BURST_S seconds' worth.

    A request passes whole if any units are left, and may leave the bucket in debt. So a body larger
    than the burst passes too, and later requests wait for it.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._left = rate * BURST_S
        self._at_s = now_s

    def wait_s(self, rate: float, now_s: float) -> float:
        """Seconds until units are left; 0: now. `rate` may change between calls."""
        passed_s = max(0.0, now_s - self._at_s)
        self._left = min(rate * BURST_S, self._left + passed_s * rate)
        self._at_s = now_s
        return 0.0 if self._left > 0 else max(-self._left, 1.0) / rate

    def take(self, amount: float) -> None:
        """Use up `amount` units, even if fewer are left."""
        self._left -= amount
