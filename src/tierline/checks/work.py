"""A budget for checking one answer, in steps, because callers and models control how much there is.

It counts steps and not time, so that an answer gets the same verdict on any machine, however busy.
"""

from tierline.base.errors import TierlineError

MAX_WORK = 6_000_000
"""Steps of about 0.4 µs on one core of 2026, for all checks of one answer together: about 2.5 s,
while other threads run. Preparing a text of 1 MB takes 1 million. An answer that needs more is
malicious, or its task is not narrow."""


class NotChecked(TierlineError):
    """A check could not be made. It says nothing about whether the check would pass."""


class TooMuch(NotChecked):
    """Checking would take too long."""


class Work:
    """The rest of the budget for one answer. Each check spends steps before it works."""

    def __init__(self, steps: int = MAX_WORK) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises TooMuch if the budget is used up, and on every later call too."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch("too much to check: the input or the answer is too large")
