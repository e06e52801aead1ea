"""How fast a pool's workers take hints, as a dispatcher sees it from one choice to the next."""

import time
from collections.abc import Callable

from tierline.rules.scheduling import hints_ahead

NEWEST_SHARE = 0.3  # of the newest pause in the averages
FORGOTTEN_S = 1.0  # after a longer pause it starts afresh


class Pace:
    """Says how many hints may wait beyond a pool's idle threads, at least `least`.

    Jobs of 50 ms end 30 times as often as a choice is made for 64 threads; jobs of 5 s rarely.
    """

    def __init__(self, least: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._clock = clock
        self._chosen_s: float | None = None  # when the last choice was made
        self._out = 0  # hints out after it
        self._taken_per_s = 0.0
        self._pause_s = 0.0

    def ahead(self, hinted: int, threads: int) -> int:
        """How many hints may go out beyond the idle threads; `hinted` are out now."""
        now_s = self._clock()
        if self._chosen_s is not None:
            pause_s = max(now_s - self._chosen_s, 1e-3)
            if pause_s > FORGOTTEN_S:
                self._taken_per_s = self._pause_s = 0.0
            else:
                taken_per_s = max(0, self._out - hinted) / pause_s
                self._taken_per_s += NEWEST_SHARE * (taken_per_s - self._taken_per_s)
                self._pause_s += NEWEST_SHARE * (pause_s - self._pause_s)
        self._chosen_s = now_s
        self._out = hinted
        return hints_ahead(self._least, self._taken_per_s, self._pause_s, threads)

    def sent(self, count: int) -> None:
        """So many hints go out by this choice."""
        self._out += count
