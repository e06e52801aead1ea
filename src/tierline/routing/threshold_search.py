"""Choosing the threshold that keeps a promise: at most so many errors among what a tier serves.

Fixed-sequence testing: the thresholds are put in order beforehand, strict to loose; each is tested
with an exact bound at the full confidence, and the first that fails ends the search. Since a looser
one is only looked at when all stricter ones held, the chance of promising too much anywhere is
1 - confidence, however many thresholds there are (Bauer 1991; for risk control, Angelopoulos et al.
2021, "Learn then Test"). What is tested must not have been used to fit the scores or the sequence.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tierline.routing.bounds import holds, samples_needed, upper_bound

FIRST_SHARE = 0.9
"""Of the risk that a promise has, what its first calibration may spend.

Each later one takes half of what is left, so that any number of them together stays within it.
"""

UNLUCKY = 1.3  # standard deviations more errors than expected: nine of ten starts have fewer


@dataclass(frozen=True)
class Scored:
    """One answer whose truth is known: how sure its tier was, and whether it was wrong."""

    score: float  # 0..1, higher is surer
    wrong: bool


@dataclass(frozen=True)
class Tested:
    """One threshold and what the answers at or above it showed."""

    threshold: float
    served: int  # answers with a score at or above it, ties included
    errors: int  # … that were wrong
    bound: float  # the highest error rate that this leaves possible


@dataclass(frozen=True)
class Calibrated:
    """What a search found."""

    chosen: Tested | None  # None: nothing can be promised, all escalates
    tested: tuple[Tested, ...]  # in the order tested; the last is the one that failed, if one did
    samples: int
    missing: int | None = None  # served answers that the strictest threshold lacks; None: enough


def confidence_of_attempt(attempt: int, confidence: float) -> float:
    """The confidence to test at, so that all calibrations of one promise together keep it.

    `attempt` counts from 1 the calibrations of the same promise and fingerprint.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not {attempt}")
    share = FIRST_SHARE if attempt == 1 else (1.0 - FIRST_SHARE) / 2.0 ** (attempt - 1)
    return 1.0 - (1.0 - confidence) * share


def grid(scores: Sequence[float], steps: int = 50) -> list[float]:
    """Thresholds, strict to loose, at even steps of coverage of `scores`.

    The scores must be others than those that will be tested: a sequence that looks at its own data
    is not fixed beforehand. The loosest threshold is 0, which serves everything.
    """
    ordered = sorted(scores, reverse=True)
    found = {ordered[len(ordered) * step // steps] for step in range(steps)} if ordered else set()
    return [*sorted(found - {0.0}, reverse=True), 0.0]


def search_threshold(
    scored: Sequence[Scored],
    thresholds: Sequence[float],
    max_error: float,
    confidence: float,
    *,
    planned_on: Sequence[Scored] = (),
) -> Calibrated:
    """The loosest of `thresholds` at which at most `max_error` of what is served is wrong.

    `thresholds` go from strict to loose. The sequence begins where the test can pass: at the first
    threshold that serves enough to pass with the errors that `planned_on` (other data, such as what
    the scores were fitted on) leads to expect there and some bad luck; where it is empty, with
    none. Where to begin is read off the scores alone, never off the errors that are then tested.
    Raises ValueError for thresholds outside 0..1 or out of order.
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

    served = [seen_at(threshold)[0] for threshold in thresholds]
    start = _start(thresholds, served, max_error, confidence, planned_on)
    if start is None:
        fewest = samples_needed(max_error, confidence) or 0
        return Calibrated(None, (), len(ordered), missing=fewest - max(served, default=0))
    chosen: Tested | None = None
    tested: list[Tested] = []
    for threshold in thresholds[start:]:
        count, errors = seen_at(threshold)
        found = Tested(threshold, count, errors, upper_bound(errors, count, confidence))
        tested.append(found)
        if not holds(errors, count, max_error, confidence):
            break
        chosen = found
    return Calibrated(chosen, tuple(tested), len(ordered))


def _start(
    thresholds: Sequence[float],
    served: Sequence[int],
    max_error: float,
    confidence: float,
    planned_on: Sequence[Scored],
) -> int | None:
    """Where the sequence begins; None: nowhere could it pass."""
    fewest = samples_needed(max_error, confidence)
    assert fewest is not None, "no errors always prove something"
    possible = [index for index, count in enumerate(served) if count >= fewest]
    if not possible:
        return None

    def bound_in_bad_luck(index: int) -> float:
        alike = [one.wrong for one in planned_on if one.score >= thresholds[index]]
        expected = served[index] * (sum(alike) + 1) / (len(alike) + 1) if alike else 0.0
        errors = expected + UNLUCKY * math.sqrt(expected)
        return upper_bound(min(errors, served[index]), served[index], confidence)

    bounds = {index: bound_in_bad_luck(index) for index in possible}
    likely = [index for index in possible if bounds[index] <= max_error]
    return likely[0] if likely else min(possible, key=lambda index: bounds[index])


def _check(thresholds: Sequence[float], max_error: float) -> None:
    if not 0.0 < max_error < 1.0:
        raise ValueError(f"max_error must lie between 0 and 1, not {max_error}")
    if any(not 0.0 <= threshold <= 1.0 for threshold in thresholds):
        raise ValueError("a threshold lies between 0 and 1")
    if any(after >= before for before, after in pairwise(thresholds)):
        raise ValueError("thresholds go from strict to loose, each once")
