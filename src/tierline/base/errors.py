"""The errors of the product, with one root. Each says what is wrong and what to do.

The API translates them into problem+json, the CLI into one line on stderr. None contains an input,
an output or a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST_PROBLEMS = 20  # in one response; a caller could cause thousands
MOST_PATH = 200  # characters of a problem's path, which may be a name that a caller invented
MOST_MESSAGE = 500


@dataclass(frozen=True)
class Problem:
    """One thing wrong in something that a user wrote, with its place."""

    message: str
    path: str = ""  # JSON pointer into the request, e.g. "/input/text"
    line: int | None = None  # from 1, if the source is a file
    source: str | None = None  # the file's name

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line) if part is not None)
        parts = [part for part in (place, self.path, self.message) if part]
        return ": ".join(parts)


def some_of(problems: Iterable[Problem]) -> tuple[tuple[Problem, ...], int]:
    """The first MOST_PROBLEMS, shortened for people, and how many more there are."""
    shown: list[Problem] = []
    left_out = 0
    for one in problems:
        if len(shown) < MOST_PROBLEMS:
            shown.append(
                replace(
                    one,
                    message=shortened(one.message, MOST_MESSAGE),
                    path=shortened(one.path, MOST_PATH),
                )
            )
        else:
            left_out += 1
    return tuple(shown), left_out


def shortened(text: str, most: int) -> str:
    """`text`, cut to at most so many characters and ended with …"""
    return text if len(text) <= most else text[: most - 1] + "…"


class TierlineError(Exception):
    """The root; `message` may be shown to the user."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(TierlineError):
    """A command or setting that cannot be used as written; exit code 2."""


class NotFound(TierlineError):
    """The thing does not exist, or the account may not see it."""


class Conflict(TierlineError):
    """The thing is not in a state that allows this."""


class NotEnoughData(Conflict):
    """There is too little to calculate this from yet; `missing` more rows, at least, would do, and
    None says that nobody knows how many.
    """

    def __init__(self, message: str, missing: int | None = None) -> None:
        self.missing = missing
        super().__init__(message)


class Forbidden(TierlineError):
    """The key is valid, but its scopes do not allow this."""


class Unavailable(TierlineError):
    """A needed part does not answer now; a later retry may work.

    `retry_after_s` is the wait that it asked for, if any.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LimitReached(Unavailable):
    """The account has reached a limit; a retry after `retry_after_s` may work."""


class InvalidInput(TierlineError):
    """The request is invalid. `problems` names fields, at most MOST_PROBLEMS; `left_out` says how
    many more there are.
    """

    def __init__(self, problems: Iterable[Problem], left_out: int = 0) -> None:
        """`left_out`: the number of problems that are not in `problems`."""
        self.problems, more = some_of(problems)
        self.left_out = left_out + more
        text = "; ".join(str(problem) for problem in self.problems)
        super().__init__(text + (f"; and {self.left_out:,} more" if self.left_out else ""))


class FeatureError(InvalidInput):
    """A feature file that cannot be applied; `problems` have lines."""
