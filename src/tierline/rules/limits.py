"""What one account may ask for, and a token bucket to hold a rate by.

Pure: the clock is the caller's. Whoever enforces a limit says how exactly it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

BURST_S = 2.0
"""A rate may be used up for so many seconds at once: callers come in bursts, seldom evenly."""


@dataclass(frozen=True)
class Limits:
    """An account's limits. None: the default's; none in the default either: there is no limit."""

    max_queued_jobs: int | None = None  # waiting for a worker, in all queues together
    max_jobs_in_progress: int | None = None  # running and hinted, in all queues together
    max_requests_per_s: int | None = None  # to each API process
    max_body_bytes_per_s: int | None = None  # … of bodies

    def over(self, defaults: "Limits") -> "Limits":
        """These limits, with the default's where there is none."""
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
        """The limits among the columns of an account's row."""
        return cls(**{name: row[name] for name in LIMITS})


LIMITS = tuple(field.name for field in fields(Limits))


class TokenBucket:
    """Lets `rate` units a second through on average, and BURST_S seconds' worth at once.

    Whoever comes while anything is left is let through whole and may leave a debt, so that a body
    larger than the burst passes too, and is paid for by those that come after it.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._left = rate * BURST_S
        self._at_s = now_s

    def wait_s(self, rate: float, now_s: float) -> float:
        """Seconds until something is left; 0 when something is. `rate` may change in between."""
        passed_s = max(0.0, now_s - self._at_s)
        self._left = min(rate * BURST_S, self._left + passed_s * rate)
        self._at_s = now_s
        return 0.0 if self._left > 0 else max(-self._left, 1.0) / rate

    def take(self, amount: float) -> None:
        """Use so many units up, left or not."""
        self._left -= amount
