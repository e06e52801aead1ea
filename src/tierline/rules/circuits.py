"""When the circuit of a model opens, as values: what trips its circuit, when it is probed.

A circuit is closed while calls go out, and open while they do not. An open one lets a single call
through now and then, the probe; the first that gets an answer closes it. Pure: each process judges
by what it saw itself; that a circuit is open is everybody's, and stands in Postgres.
"""

from collections import deque
from enum import Enum

from tierline.rules.causes import Cause

REMEMBERED = 20  # outcomes of one model that one process judges by
REMEMBERED_S = 120.0  # … none of them older
LEAST_FAILURES = 5  # fewer are bad luck
MOST_FAILING = 0.5  # the share of failures from which on calls do more harm than good
OPERATORS_FAILURES = 2
"""In a row, of a key or a quota: they do not pass by themselves. Not one, because some providers
answer 403 to a single request that they do not like."""

FIRST_PROBE_S = 5.0
MOST_PROBE_S = 60.0
OPERATORS_FIRST_PROBE_S = 30.0
OPERATORS_MOST_PROBE_S = 120.0
MOST_ASKED_S = 3600.0  # a provider that asks for more is probed after an hour

OPERATORS = frozenset({Cause.KEY, Cause.QUOTA})
"""What the operator has to mend."""
FAILING = frozenset(
    {Cause.OVERLOADED, Cause.UNREACHABLE, Cause.SERVER, Cause.TIMEOUT, Cause.UNREADABLE}
)
"""What says that the provider is not well."""
UNASKED = frozenset({Cause.NOT_CONFIGURED, Cause.TOO_LATE, Cause.CIRCUIT_OPEN})
"""What says nothing of the provider, because it was not asked."""


class Effect(Enum):
    """What a call says of its model's health."""

    WELL = "it answered, if only to refuse this request"
    ILL = "it failed"
    LOCKED = "it does not let us in"
    NOTHING = "it was not asked, or was given too little time"


def effect(cause: Cause | None, *, cut_short: bool = False) -> Effect:
    """What a call that ended so says. `cut_short`: its job's deadline left less than `timeout_s`.

    None is an answer. A rate limit is an answer too: the server is there, and says when to come.
    """
    if cause in OPERATORS:
        return Effect.LOCKED
    if cause in UNASKED or (cause is Cause.TIMEOUT and cut_short):
        return Effect.NOTHING
    return Effect.ILL if cause in FAILING else Effect.WELL


class Window:
    """What one process saw of one model lately. Not for several threads at once."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Effect]] = deque(maxlen=REMEMBERED)

    def note(self, seen: Effect, now_s: float) -> bool:
        """Remember an effect at a monotonic time; whether the circuit is to be opened by it."""
        self._seen.append((now_s, seen))
        while now_s - self._seen[0][0] > REMEMBERED_S:
            self._seen.popleft()
        last = [one for _, one in self._seen][-OPERATORS_FAILURES:]
        if seen is Effect.LOCKED:
            return last == [Effect.LOCKED] * OPERATORS_FAILURES
        if seen is not Effect.ILL:
            return False
        failures = sum(one is not Effect.WELL for _, one in self._seen)
        return failures >= max(LEAST_FAILURES, MOST_FAILING * len(self._seen))

    def clear(self) -> None:
        """Forget: what was seen before a circuit opened says nothing of after."""
        self._seen.clear()


def probe_wait_s(cause: Cause, failed_probes: int, asked_s: float | None) -> float:
    """Seconds from an opening, or from a failed probe, to the next probe: doubling.

    `asked_s` is what the provider asked for; it is given at least that.
    """
    first_s, most_s = (
        (OPERATORS_FIRST_PROBE_S, OPERATORS_MOST_PROBE_S)
        if cause in OPERATORS
        else (FIRST_PROBE_S, MOST_PROBE_S)
    )
    wait_s = min(most_s, first_s * 2.0 ** min(failed_probes, 16))
    return max(wait_s, min(asked_s or 0.0, MOST_ASKED_S))
