"""Choosing the threshold that keeps a promise: at most a given share of errors in what is served.

Fixed-sequence testing: the thresholds are ordered beforehand, strict to loose. Each is tested with
an exact bound at the full confidence, and the first that fails ends the search. A looser threshold
is tested only if all stricter ones held, so the risk of promising too much anywhere is
1 - confidence, however many thresholds there are (Bauer 1991; for risk control, Angelopoulos et al.
2021, "Learn then Test"). Tested data must not have been used to fit the scores or the sequence.

Where the sequence begins decides how much is served. A stricter start has fewer wrong answers; a
looser start serves more, so that a few chance errors do not end the search. The number of outcomes,
the promised error rate and the errors of the fitted outcomes decide it, and never the errors that
are then tested.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tierline.routing.thresholds.bounds import holds, lower_bound, samples_needed, upper_bound

FIRST_SHARE = 0.9
"""The share of a promise's risk that its first calibration may spend.

Each later calibration takes half of what is left, so that any number of them stays within it.
"""

START_SHARE = 0.125
"""The errors that the first tested threshold must tolerate, as a share of those that the promise
allows in all outcomes. With few outcomes that is 0, and the search begins at the strictest
threshold that can pass. `python -m benchmarks search` compares it with other methods."""

RULED_OUT_AT = 0.9
"""The confidence at which the fitted outcomes rule a start out: more of them are wrong than the
promise allows. Scores with few distinct values need this: the next looser start may be far too
loose."""


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
    fitted: Sequence[Scored] = (),
) -> Calibrated:
    """The loosest of `thresholds` at which at most `max_error` of what is served is wrong.

    `thresholds` go from strict to loose. The search begins at the first threshold that would pass
    with `tolerated_errors`. If the errors of `fitted`, outcomes that are not tested, rule that
    start out, it tolerates half as many, down to none. So the start never depends on the errors
    that are then tested. Raises ValueError for thresholds outside 0..1 or out of order.
    """
    _check(thresholds, max_error)
    tests, fits = _Counts(scored), _Counts(fitted)
    fewest = samples_needed(max_error, confidence)
    assert fewest is not None, "zero errors always prove something"
    served = [tests.at(threshold)[0] for threshold in thresholds]
    most_served = max(served, default=0)
    if most_served < fewest:
        return Calibrated(None, (), len(scored), missing=fewest - most_served)
    for tolerated in halved(tolerated_errors(most_served, max_error, confidence)):
        start = _first_that_holds(served, tolerated, max_error, confidence)
        if not ruled_out(*fits.at(thresholds[start]), max_error):
            break
    chosen: Tested | None = None
    tested: list[Tested] = []
    for threshold in thresholds[start:]:
        count, errors = tests.at(threshold)
        result = Tested(threshold, count, errors, upper_bound(errors, count, confidence))
        tested.append(result)
        if not holds(errors, count, max_error, confidence):
            break
        chosen = result
    return Calibrated(chosen, tuple(tested), len(scored))


def tolerated_errors(samples: int, max_error: float, confidence: float) -> int:
    """The errors with which the first tested threshold must still pass, of so many samples."""
    errors = int(START_SHARE * samples * max_error)
    while errors > 0 and not holds(errors, samples, max_error, confidence):
        errors -= 1
    return errors


def halved(errors: int) -> list[int]:
    """The errors to tolerate, one start after another: half as many each time, and 0 at last."""
    return [*(errors >> step for step in range(errors.bit_length())), 0]


def ruled_out(served: int, errors: int, max_error: float) -> bool:
    """Whether so many errors among the fitted answers say that a threshold breaks the promise."""
    return served > 0 and lower_bound(errors, served, RULED_OUT_AT) > max_error


class _Counts:
    """What thresholds serve of some answers, and how much of it is wrong."""

    def __init__(self, scored: Sequence[Scored]) -> None:
        ordered = sorted(scored, key=lambda one: one.score)
        self._scores = [one.score for one in ordered]
        self._errors = [0, *accumulate(one.wrong for one in reversed(ordered))]

    def at(self, threshold: float) -> tuple[int, int]:
        """The served answers, and the wrong ones among them."""
        served = len(self._scores) - bisect_left(self._scores, threshold)
        return served, self._errors[served]


def _first_that_holds(
    served: Sequence[int], errors: int, max_error: float, confidence: float
) -> int:
    """The index of the first threshold that holds with so many errors; one of them does."""
    return next(
        index
        for index, count in enumerate(served)
        if holds(min(errors, count), count, max_error, confidence)
    )


def _check(thresholds: Sequence[float], max_error: float) -> None:
    if not 0.0 < max_error < 1.0:
        raise ValueError(f"max_error must lie between 0 and 1, not {max_error}")
    if any(not 0.0 <= threshold <= 1.0 for threshold in thresholds):
        raise ValueError("a threshold lies between 0 and 1")
    if any(after >= before for before, after in pairwise(thresholds)):
        raise ValueError("thresholds must go from strict to loose, without repeats")
