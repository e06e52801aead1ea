"""What may be done about a call to a model that gave no answer. Pure.

    certainly not served; a passing failure     AGAIN: up to `retries` tries on its tier
    may have been served and billed             ONCE: one more try, whatever `retries` says
    somebody must act first (a limit, a key)    HOLD: the job waits and uses up no try
    the provider gets no calls for now          OUTAGE: a hold, until the next tier is called
    the same call fails the same way            NEVER: the next tier, or the end

`rules.causes` says which cause is which; `jobs.next_state` decides what happens to the job.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

MOST_MAYBE_BILLED = 1
"""The number of possibly billed calls on one tier after which no further call is made: the second
is the retry, and a third is not paid for.
"""


class Retry(Enum):
    """Whether the same call may be made again, and how often. The most retryable comes first."""

    HOLD = 1
    OUTAGE = 2
    AGAIN = 3
    ONCE = 4
    NEVER = 5

    def as_advised(self, should_retry: bool | None, *, maybe_billed: bool) -> "Retry":
        """This choice, adjusted by the provider's own advice on retries (`x-should-retry`).

        A hold stays a hold, because its calls wait for a limit or an operator.
        """
        if should_retry is None or self in {Retry.HOLD, Retry.OUTAGE}:
            return self
        if not should_retry:
            return Retry.NEVER
        if self is Retry.NEVER:
            return Retry.ONCE if maybe_billed else Retry.AGAIN
        return self


class Failure(Protocol):
    """The part of a failed call that the choice needs."""

    @property
    def retry(self) -> Retry: ...

    @property
    def retry_after_s(self) -> float | None: ...


F = TypeVar("F", bound=Failure)


def decisive(failures: Sequence[F]) -> F:
    """The failure that decides what happens to the job, if several models of a tier failed.

    It is the most retryable one: if one model is only busy, the job waits for it, whatever is wrong
    with the others. Among equals it is the one with the shortest wait, then the last. `failures` is
    in the order of the calls and not empty.
    """
    return min(reversed(failures), key=_retryability)


def _retryability(failure: Failure) -> tuple[int, float]:
    wait_s = failure.retry_after_s
    return failure.retry.value, float("inf") if wait_s is None else wait_s
