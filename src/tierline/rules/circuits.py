"""When a model's circuit opens, and when it is probed. Pure.

A circuit is closed while calls go out and open while they do not. An open circuit lets one call
through at intervals, the probe. The first probe that gets an answer closes the circuit. Each
process decides from the calls that it saw itself. The open circuit is stored in Postgres, so it
holds for all processes.
"""

from collections import deque
from enum import Enum

from tierline.rules.causes import Cause

REMEMBERED = 20  # the number of outcomes per model that a process keeps
REMEMBERED_S = 120.0  # outcomes older than this are ignored
LEAST_FAILURES = 5  # fewer failures may be chance
MOST_FAILING = 0.5  # the share of failures at which the circuit opens
OPERATORS_FAILURES = 2
"""Refused keys or exhausted quotas in a row that open the circuit: they do not pass by themselves.
One is not enough, because some providers answer 403 to a single request that they reject."""

FIRST_PROBE_S = 5.0
MOST_PROBE_S = 60.0
OPERATORS_FIRST_PROBE_S = 30.0
OPERATORS_MOST_PROBE_S = 120.0
MOST_RETRY_AFTER_S = 3600.0  # the longest wait that a provider's Retry-After can set

OPERATORS = frozenset({Cause.KEY, Cause.QUOTA})
"""Causes that the operator must fix."""
FAILING = frozenset(
    {Cause.OVERLOADED, Cause.UNREACHABLE, Cause.SERVER, Cause.TIMEOUT, Cause.UNREADABLE}
)
"""Causes that show that the provider is unhealthy."""
NOT_CALLED = frozenset({Cause.NOT_CONFIGURED, Cause.TOO_LATE, Cause.CIRCUIT_OPEN})
"""Causes that say nothing about the provider, because it was not called."""


class Effect(Enum):
    """What one call shows about its model's health."""

    WELL = "the model answered or refused this one request"
    ILL = "the model failed"
    LOCKED = "the provider refuses the key or the quota is used up"
    NOTHING = "the model was not called or had too little time"


def effect(cause: Cause | None, *, cut_short: bool = False) -> Effect:
    """What a call with this cause shows about the model; None: the call was answered.

    `cut_short` is true if the job's deadline left the call less than `timeout_s`. A rate limit
    counts as an answer: the server runs and says when to try again.
    """
    if cause in OPERATORS:
        return Effect.LOCKED
    if cause in NOT_CALLED or (cause is Cause.TIMEOUT and cut_short):
        return Effect.NOTHING
    return Effect.ILL if cause in FAILING else Effect.WELL


class Window:
    """The recent outcomes of one model in one process. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Effect]] = deque(maxlen=REMEMBERED)

    def note(self, effect: Effect, now_s: float) -> bool:
        """Record an effect at a monotonic time. True if the circuit must open."""
        self._seen.append((now_s, effect))
        while now_s - self._seen[0][0] > REMEMBERED_S:
            self._seen.popleft()
        last = [one for _, one in self._seen][-OPERATORS_FAILURES:]
        if effect is Effect.LOCKED:
            return last == [Effect.LOCKED] * OPERATORS_FAILURES
        if effect is not Effect.ILL:
            return False
        failures = sum(one is not Effect.WELL for _, one in self._seen)
        return failures >= max(LEAST_FAILURES, MOST_FAILING * len(self._seen))

    def clear(self) -> None:
        """Forget all outcomes: those from before an opening say nothing about the time after."""
        self._seen.clear()


def probe_wait_s(cause: Cause, failed_probes: int, retry_after_s: float | None) -> float:
    """Seconds from the opening, or from a failed probe, to the next probe. It doubles each time.

    `retry_after_s` is the provider's own wait; the result is at least that, within limits.
    """
    first_s, most_s = (
        (OPERATORS_FIRST_PROBE_S, OPERATORS_MOST_PROBE_S)
        if cause in OPERATORS
        else (FIRST_PROBE_S, MOST_PROBE_S)
    )
    wait_s = min(most_s, first_s * 2.0 ** min(failed_probes, 16))
    return max(wait_s, min(retry_after_s or 0.0, MOST_RETRY_AFTER_S))
