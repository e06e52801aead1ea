"""How long a process that died waits before it is started again. Pure."""

FIRST_S = 0.2
LONGEST_S = 10.0
STEADY_S = 30.0  # a process that stayed up this long starts over with the first wait


def next_wait_s(last_wait_s: float | None, uptime_s: float) -> float:
    """The wait before the next start, given the one before the last start (None: it had none)."""
    if last_wait_s is None or uptime_s >= STEADY_S:
        return FIRST_S
    return min(last_wait_s * 2, LONGEST_S)
