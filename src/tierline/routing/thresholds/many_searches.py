"""The threshold search on many sets of outcomes at once, for simulations.

`threshold_search.search_threshold` is the definition; a test checks that both choose alike. Arrays
have one row per set. It works on counts, so that a thousand sets take well under a second.
"""

from typing import Any

from tierline.routing.thresholds.threshold_search import RULED_OUT_AT, halved, tolerated_errors

Array = Any  # of numpy, which is imported where it is needed
NONE = -1  # the index of the chosen threshold if nothing can be promised


def counts_at(scores: Array, wrong: Array, thresholds: Array) -> tuple[Array, Array]:
    """For each set, how many outcomes each threshold serves, and how many of those are wrong.

    `scores` and `wrong`: sets x outcomes. `thresholds`: sets x thresholds.
    """
    import numpy as np

    order = np.argsort(scores, axis=1)
    ordered = np.take_along_axis(scores, order, 1)
    errors = np.take_along_axis(wrong, order, 1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    errors = np.concatenate([errors, np.zeros((len(scores), 1), dtype=errors.dtype)], axis=1)
    first = np.stack(
        [np.searchsorted(row, at) for row, at in zip(ordered, thresholds, strict=True)]
    )
    return scores.shape[1] - first, np.take_along_axis(errors, first, 1)


def most_errors(served: Array, max_error: float, confidence: float) -> Array:
    """The most errors with which `max_error` may be promised of so many served; -1: none."""
    import numpy as np
    from scipy.stats import binom

    # The Clopper-Pearson bound is at most max_error where so few errors are unlikely enough.
    distinct, places = np.unique(served, return_inverse=True)
    risk = 1.0 - confidence
    errors = binom.ppf(risk, distinct, max_error).astype(int) - 1
    errors += binom.cdf(errors + 1, distinct, max_error) <= risk
    errors[distinct == 0] = -1
    return errors[places].reshape(np.shape(served))


def search_each(
    served: Array,
    errors: Array,
    max_error: float,
    confidence: float,
    fitted: tuple[Array, Array] | None = None,
) -> Array:
    """For each set the index of the chosen threshold, or NONE. All arrays: sets x thresholds.

    `fitted`: what each threshold serves of the fitted outcomes, and the errors among them; one row
    does for all sets.
    """
    import numpy as np

    allowed = most_errors(served, max_error, confidence)
    bad = np.zeros(served.shape, dtype=bool)
    if fitted is not None:
        bad |= ruled_out(*fitted, max_error)
    totals, places = np.unique(served.max(axis=1), return_inverse=True)
    starts = [halved(tolerated_errors(int(n), max_error, confidence)) for n in totals]
    start = np.full(len(served), served.shape[1])
    open_ = np.ones(len(served), dtype=bool)
    for step in range(max(map(len, starts))):
        tolerated = np.array([each[min(step, len(each) - 1)] for each in starts])[places]
        may_start = allowed >= tolerated[:, None]
        begins = may_start.any(axis=1) & open_
        start = np.where(begins, may_start.argmax(axis=1), start)
        open_ &= begins & bad[np.arange(len(bad)), np.minimum(start, bad.shape[1] - 1)]
        if not open_.any():
            break
    return last_in_sequence(errors <= allowed, start)


def ruled_out(served: Array, errors: Array, max_error: float) -> Array:
    """Where so many errors among fitted answers say that a threshold breaks the promise."""
    from scipy.stats import binom

    return (served > 0) & (binom.sf(errors - 1, served, max_error) < 1.0 - RULED_OUT_AT)


def last_in_sequence(passes: Array, start: Array) -> Array:
    """For each set the last threshold that passes, if all pass from `start` on; NONE: none does."""
    import numpy as np

    count = passes.shape[1]
    held = passes | (np.arange(count)[None, :] < np.reshape(start, (-1, 1)))
    failed = np.where(held.all(axis=1), count, held.argmin(axis=1))
    return np.where(failed - 1 >= start, failed - 1, NONE)
