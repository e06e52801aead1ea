"""The errors of the product: one root, each saying what was wrong and what to do.

Doors translate them: the API into problem+json, the CLI into one line on stderr. None of them
carries an input, an output or a key in its text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST_PROBLEMS = 20  # of one answer: nobody reads more, and a caller can make thousands
MOST_PATH = 200  # characters of a problem's path, which may be a name that a caller made up
MOST_MESSAGE = 500


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


def some_of(problems: Iterable[Problem]) -> tuple[tuple[Problem, ...], int]:
    """The first MOST_PROBLEMS, no longer than a person reads, and how many more there are."""
    kept: list[Problem] = []
    left_out = 0
    for one in problems:
        if len(kept) < MOST_PROBLEMS:
            kept.append(
                replace(
                    one,
                    message=shortened(one.message, MOST_MESSAGE),
                    path=shortened(one.path, MOST_PATH),
                )
            )
        else:
            left_out += 1
    return tuple(kept), left_out


def shortened(text: str, most: int) -> str:
    """`text`, or its beginning and …, in at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


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


class NotEnoughData(Conflict):
    """There is too little to calculate this from yet; `missing` more rows, at least, would do, and
    None says that nobody knows how many.
    """

    def __init__(self, message: str, missing: int | None = None) -> None:
        self.missing = missing
        super().__init__(message)


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
    """What was sent does not fit; `problems` names fields, MOST_PROBLEMS of them at most, and
    `left_out` says how many more there are.
    """

    def __init__(self, problems: Iterable[Problem], left_out: int = 0) -> None:
        """`left_out`: those beyond `problems` that were not even written down."""
        self.problems, more = some_of(problems)
        self.left_out = left_out + more
        told = "; ".join(str(problem) for problem in self.problems)
        super().__init__(told + (f"; and {self.left_out:,} more" if self.left_out else ""))


class FeatureError(InvalidInput):
    """A feature file that cannot be applied; `problems` carry lines."""
