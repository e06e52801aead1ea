"""The errors of the product: one root, each saying what was wrong and what to do.

Doors translate them: the API into problem+json, the CLI into one line on stderr. None of them
carries an input, an output or a key in its text.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with something a user wrote, and where it stands."""

    message: str
    path: str = ""  # JSON pointer into what was sent, e.g. "/input/text"
    line: int | None = None  # counted from 1, where the source is a file
    source: str | None = None  # the file's name

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line) if part is not None)
        parts = [part for part in (place, self.path, self.message) if part]
        return ": ".join(parts)


class TierlineError(Exception):
    """The root; `message` is fit to show to the person who caused it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(TierlineError):
    """A command or setting that cannot be carried out as written; exit code 2."""


class NotFound(TierlineError):
    """The thing named does not exist, or is not the asking account's to see."""


class Conflict(TierlineError):
    """The thing is not in a state in which this can be done."""


class Forbidden(TierlineError):
    """The key is good but its scopes do not reach this far."""


class Unavailable(TierlineError):
    """A part the request needs does not answer now; asking again later may work.

    `retry_after_s` is the wait that it asked for, if it did.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LimitReached(Unavailable):
    """The account has as much as it may have now; asking again after `retry_after_s` may work."""


class InvalidInput(TierlineError):
    """What was sent does not fit; `problems` names each field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class FeatureError(InvalidInput):
    """A feature file that cannot be applied; `problems` carry lines."""
