"""How far a replica is behind its primary, from positions in the write-ahead log.

The clocks of the two servers are not compared. An idle primary makes no replica late.
"""

from collections import deque

KEPT = 3_600  # positions of the primary: an hour of one a second


class LagMeter:
    """Keeps which position the primary had reached when. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._written: deque[tuple[int, float]] = deque(maxlen=KEPT)

    def note(self, position: int, now_s: float) -> None:
        """The primary has written up to `position`. A lower one than before is another primary's
        history: what was noted is forgotten.
        """
        if self._written and position < self._written[-1][0]:
            self._written.clear()
        self._written.append((position, now_s))

    def lag_s(self, replayed: int, now_s: float) -> float | None:
        """How old the replica's state is at most, in seconds, after `replayed` was read from it.

        0 if it has all that was noted. None if it is unknown: the replica is behind all of it.
        """
        if not self._written:
            return None
        if replayed >= self._written[-1][0]:
            return 0.0
        reached = [at_s for position, at_s in self._written if position <= replayed]
        return now_s - reached[-1] if reached else None
