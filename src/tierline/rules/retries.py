"""What may be done about a call to a model that gave no answer, as values. Pure.

    surely not served, the job's own bad luck   AGAIN: up to `retries` tries on its tier
    may have been served, and billed            ONCE: one more try, whatever `retries` says
    others must act first (a limit, a key)      HOLD: the job waits and uses up no try
    its provider gets no calls for now          OUTAGE: a hold, until the next tier is asked
    the same call fails the same way            NEVER: the next tier, or the end

Which cause is which stands with the causes, in `providers.types`; what becomes of the job, in
`jobs.next_state`.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

MOST_MAYBE_BILLED = 1
"""Calls on one tier that may have been billed, after which it may be tried again: a second one is
the retry, and no third is paid for."""


class Retry(Enum):
    """Whether the same call may be made again, and how often. In order of hope, the most first."""

    HOLD = 1
    OUTAGE = 2
    AGAIN = 3
    ONCE = 4
    NEVER = 5

    def as_told(self, should_retry: bool | None, *, maybe_billed: bool) -> "Retry":
        """The same, under what the provider itself says of a retry (`x-should-retry`).

        A hold stays one: its calls wait for others, not for luck.
        """
        if should_retry is None or self in {Retry.HOLD, Retry.OUTAGE}:
            return self
        if not should_retry:
            return Retry.NEVER
        if self is Retry.NEVER:
            return Retry.ONCE if maybe_billed else Retry.AGAIN
        return self


class Failure(Protocol):
    """As much of a failed call as the choice needs."""

    @property
    def retry(self) -> Retry: ...

    @property
    def retry_after_s(self) -> float | None: ...


F = TypeVar("F", bound=Failure)


def decisive(failures: Sequence[F]) -> F:
    """Of the failures of a tier's models, the one that says what becomes of the job.

    It is the most hopeful: a job waits for the model that is only busy, whatever is wrong with the
    others. Among equals it is the one that asks for the shortest wait, then the last. `failures` is
    in the order of the calls and not empty.
    """
    return min(reversed(failures), key=_hope)


def _hope(failure: Failure) -> tuple[int, float]:
    wait_s = failure.retry_after_s
    return failure.retry.value, float("inf") if wait_s is None else wait_s
