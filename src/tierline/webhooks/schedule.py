"""When a webhook is tried again: a pure decision from the result of one try."""

import random
from dataclasses import dataclass
from enum import StrEnum

WAITS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from the end of one try to the next, the schedule that Standard Webhooks recommends. With
the first try at 0, ten tries are at 0:00:00, 0:00:05, 0:05:05, 0:35:05, … 75:35:05."""

MOST_TRIES = len(WAITS_S) + 1
JITTER = 0.1  # a wait is up to this share longer, so that tries do not come all at once
LONGEST_WAIT_S = 86_400.0  # limit on a receiver's Retry-After


class DeliveryStatus(StrEnum):
    PENDING = "pending"  # waits for its next try, or is being tried
    DELIVERED = "delivered"  # a receiver answered 2xx
    FAILED = "failed"  # the last try failed, or the receiver is gone


@dataclass(frozen=True)
class Met:
    """The result of one try: an HTTP status, or the reason why there is none."""

    status: int | None
    error: str | None = None  # safe to show: never contains the receiver's words
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Decision:
    """What happens to the delivery next."""

    status: DeliveryStatus
    wait_s: float = 0.0  # time until the next try, if pending
    disable: bool = False  # the receiver is gone, so its endpoint is disabled


def after_try(tries: int, met: Met, chance: float | None = None) -> Decision:
    """The decision after try number `tries` (from 1). `chance`, from 0 to 1, is random by default.

    2xx is delivered; 410 Gone disables the endpoint; everything else, redirects too, is tried
    again.
    """
    if met.status is not None and 200 <= met.status < 300:
        return Decision(DeliveryStatus.DELIVERED)
    if met.status == 410:
        return Decision(DeliveryStatus.FAILED, disable=True)
    if tries >= MOST_TRIES:
        return Decision(DeliveryStatus.FAILED)
    drawn = random.random() if chance is None else chance  # noqa: S311 - not security relevant
    wait_s = WAITS_S[tries - 1] * (1 + JITTER * drawn)
    if met.retry_after_s is not None:
        wait_s = max(wait_s, min(met.retry_after_s, LONGEST_WAIT_S))
    return Decision(DeliveryStatus.PENDING, wait_s)
