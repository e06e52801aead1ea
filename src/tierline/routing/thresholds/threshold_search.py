"""Choosing the threshold that keeps a promise: at most a given share of errors in what is served.

Fixed-sequence testing: the thresholds are ordered beforehand, strict to loose. Each is tested with
an exact bound at the full confidence, and the first that fails ends the search. A looser threshold
is tested only if all stricter ones held, so the risk of promising too much anywhere is
1 - confidence, however many thresholds there are (Bauer 1991; for risk control, Angelopoulos et al.
2021, "Learn then Test"). Tested data must not have been used to fit the scores or the sequence.

Where the sequence begins decides how much is served. A stricter start has fewer wrong answers; a
looser start serves more, so that a few chance errors do not end the search. The number of outcomes
and the promised error rate decide it, and never the errors that are then tested.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tierline.routing.thresholds.bounds import holds, samples_needed, upper_bound

FIRST_SHARE = 0.9
"""The share of a promise's risk that its first calibration may spend.

Each later calibration takes half of what is left, so that any number of them stays within it.
"""

START_SHARE = 0.125
"""The errors that the first tested threshold must tolerate, as a share of those that the promise
allows in all outcomes. With few outcomes that is 0, and the search begins at the strictest
threshold that can pass. `python -m benchmarks search` compares it with other methods."""


@dataclass(frozen=True)
class Scored:
    """One answer with known truth: its tier's confidence, and whether it was wrong."""

    score: float  # 0..1, higher is more confident
    wrong: bool


@dataclass(frozen=True)
class Tested:
    """One threshold and the result of the answers at or above it."""

    threshold: float
    served: int  # answers with a score at or above it, ties included
    errors: int  # … that were wrong
    bound: float  # the highest error rate that this result allows


@dataclass(frozen=True)
class Calibrated:
    """The result of a search."""

    chosen: Tested | None  # None: nothing can be promised, all escalates
    tested: tuple[Tested, ...]  # in the order tested; the last is the one that failed, if one did
    samples: int
    missing: int | None = None  # served answers that the strictest threshold lacks; None: enough


def confidence_of_attempt(attempt: int, confidence: float) -> float:
    """The confidence to test at, so that all calibrations of one promise together keep it.

    `attempt` counts the calibrations of the same promise and fingerprint, from 1.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not {attempt}")
    share = FIRST_SHARE if attempt == 1 else (1.0 - FIRST_SHARE) / 2.0 ** (attempt - 1)
    return 1.0 - (1.0 - confidence) * share


def grid(scores: Sequence[float], steps: int = 50) -> list[float]:
    """Thresholds, strict to loose, at even steps of coverage of `scores`.

    These scores must not be tested later: a sequence that depends on the tested data is not fixed
    beforehand. The loosest threshold is 0, which serves everything.
    """
    ordered = sorted(scores, reverse=True)
    chosen = {ordered[len(ordered) * step // steps] for step in range(steps)} if ordered else set()
    return [*sorted(chosen - {0.0}, reverse=True), 0.0]


def search_threshold(
    scored: Sequence[Scored],
    thresholds: Sequence[float],
    max_error: float,
    confidence: float,
) -> Calibrated:
    """The loosest of `thresholds` at which at most `max_error` of what is served is wrong.

    `thresholds` go from strict to loose. The search begins at the first threshold that would pass
    with `tolerated_errors`. This start depends only on the scores, never on the errors that are
    then tested. Raises ValueError for thresholds outside 0..1 or out of order.
    """
    _check(thresholds, max_error)
    ordered = sorted(scored, key=lambda one: one.score)
    scores = [one.score for one in ordered]
    errors_from = [0] * (len(ordered) + 1)
    for index in range(len(ordered) - 1, -1, -1):
        errors_from[index] = errors_from[index + 1] + ordered[index].wrong

    def seen_at(threshold: float) -> tuple[int, int]:
        first = bisect_left(scores, threshold)
        return len(ordered) - first, errors_from[first]

    fewest = samples_needed(max_error, confidence)
    assert fewest is not None, "zero errors always prove something"
    most_served = max((seen_at(threshold)[0] for threshold in thresholds), default=0)
    if most_served < fewest:
        return Calibrated(None, (), len(ordered), missing=fewest - most_served)
    tolerated = tolerated_errors(most_served, max_error, confidence)
    chosen: Tested | None = None
    tested: list[Tested] = []
    for threshold in thresholds:
        count, errors = seen_at(threshold)
        if not tested and not holds(min(tolerated, count), count, max_error, confidence):
            continue
        result = Tested(threshold, count, errors, upper_bound(errors, count, confidence))
        tested.append(result)
        if not holds(errors, count, max_error, confidence):
            break
        chosen = result
    return Calibrated(chosen, tuple(tested), len(ordered))


def tolerated_errors(samples: int, max_error: float, confidence: float) -> int:
    """The errors with which the first tested threshold must still pass, of so many samples."""
    errors = int(START_SHARE * samples * max_error)
    while errors > 0 and not holds(errors, samples, max_error, confidence):
        errors -= 1
    return errors


def _check(thresholds: Sequence[float], max_error: float) -> None:
    if not 0.0 < max_error < 1.0:
        raise ValueError(f"max_error must lie between 0 and 1, not {max_error}")
    if any(not 0.0 <= threshold <= 1.0 for threshold in thresholds):
        raise ValueError("a threshold lies between 0 and 1")
    if any(after >= before for before, after in pairwise(thresholds)):
        raise ValueError("thresholds must go from strict to loose, without repeats")
