"""When a webhook is tried again, and when no more: a pure decision from what one try met."""

import random
from dataclasses import dataclass
from enum import StrEnum

WAITS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from the end of one try to the next, the schedule that Standard Webhooks recommends: with
the try at 0, ten tries at 0:00:00, 0:00:05, 0:05:05, 0:35:05, … 75:35:05 after the start."""

MOST_TRIES = len(WAITS_S) + 1
JITTER = 0.1  # a wait is up to this share longer, so that receivers are not called in step
LONGEST_WAIT_S = 86_400.0  # how far a receiver's Retry-After is followed


class DeliveryStatus(StrEnum):
    PENDING = "pending"  # waits for its next try, or is being tried
    DELIVERED = "delivered"  # a receiver answered 2xx
    FAILED = "failed"  # given up: the last try failed, or the receiver is gone


@dataclass(frozen=True)
class Met:
    """What one try met: an HTTP status, or the reason why there is none."""

    status: int | None
    error: str | None = None  # safe to show: never what the receiver wrote
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of the delivery."""

    status: DeliveryStatus
    wait_s: float = 0.0  # until the next try, while it is pending
    disable: bool = False  # the receiver is gone: its endpoint gets no more


def after_try(tries: int, met: Met, chance: float | None = None) -> Decision:
    """What follows the try numbered `tries` (from 1). `chance`, from 0 to 1, is drawn if not given.

    2xx is delivered; 410 Gone disables the endpoint; all else, redirects included, is tried again.
    """
    if met.status is not None and 200 <= met.status < 300:
        return Decision(DeliveryStatus.DELIVERED)
    if met.status == 410:
        return Decision(DeliveryStatus.FAILED, disable=True)
    if tries >= MOST_TRIES:
        return Decision(DeliveryStatus.FAILED)
    drawn = random.random() if chance is None else chance  # noqa: S311 - no secret hangs on it
    wait_s = WAITS_S[tries - 1] * (1 + JITTER * drawn)
    if met.retry_after_s is not None:
        wait_s = max(wait_s, min(met.retry_after_s, LONGEST_WAIT_S))
    return Decision(DeliveryStatus.PENDING, wait_s)
