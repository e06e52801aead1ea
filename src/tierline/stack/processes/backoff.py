"""How long to wait before a process that died is started again. Pure."""

FIRST_S = 0.2
LONGEST_S = 10.0
STEADY_S = 30.0  # after this uptime, the waits begin again with the first one


def next_wait_s(last_wait_s: float | None, uptime_s: float) -> float:
    """The wait before the next start, from the wait before the last start (None: there was
    none).
    """
    if last_wait_s is None or uptime_s >= STEADY_S:
        return FIRST_S
    return min(last_wait_s * 2, LONGEST_S)
