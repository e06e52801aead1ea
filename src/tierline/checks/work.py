"""What checking one answer may take, counted in steps: what a caller or a model sends decides it.

Counted and not timed, so that the same answer gets the same verdict on any machine, however busy.
"""

from tierline.base.errors import TierlineError

MAX_WORK = 6_000_000
"""Steps of about 0.4 µs on one core of 2026, for all checks of one answer together: about 2.5 s,
while other threads go on. A text of 1 MB takes 1 million to prepare; what takes more than all is
made to, or is no narrow task."""


class TooMuch(TierlineError):
    """There is more to check than is worth it; nothing is said of whether the check holds."""


class Work:
    """What is left of it for one answer. Each check counts before it does something."""

    def __init__(self, steps: int = MAX_WORK) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises TooMuch when it is used up; then it stays so."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch("too much to check: the input, or the answer's values, are too many")
