"""Compares two tiers' scores of the same examples: means, ratio, and which tier is better.

The ratio is that of the mean scores, small to large. Its interval is a confidence sequence, which
holds however often people look and add examples; `sequence` says how. Beside it stands the narrower
interval that holds if they look once, so that the price is seen: a paired bootstrap's (bias-
corrected and accelerated: Efron 1987), or Fieller's (1954) if the bootstrap has no variation; a
test checks that the two agree where both apply. If hardly any pair differs, neither can tell how
rare differences are. Then the Clopper-Pearson bounds on the share of differing pairs are used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tierline.evaluation.sequence import ratio_bounds
from tierline.routing.thresholds.bounds import lower_bound, upper_bound

CONFIDENCE = 0.95
RESAMPLES = 2_000
MOST_RESAMPLED = 2_000  # examples; with more, Fieller's interval is the same and takes no time
FEW = 10  # differing pairs; with fewer, an interval from their spread means little
SEED = 20

Method = Literal["bootstrap", "fieller", "exact"]


@dataclass(frozen=True)
class Interval:
    """Two bounds that hold together at `confidence`."""

    low: float
    high: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class Compared:
    """The result of comparing a small tier with a large one on n examples."""

    examples: int
    small: float  # mean scores, 0..1
    large: float
    ratio: float | None  # small / large; None: the large tier is never right
    interval: Interval | None  # holds however often people look and add examples
    interval_once: Interval | None  # narrower: holds if they look once
    method: Method | None  # of interval_once
    only_small: int  # examples on which the small tier does better
    only_large: int
    # probability of such a difference, or a larger one, by chance (exact, two-sided)
    mcnemar_p: float
    # variance over the pairs of small - ratio * large
    variance: float


def compare(
    small: Sequence[float], large: Sequence[float], confidence: float = CONFIDENCE
) -> Compared:
    """Scores 0..1 of the same examples in the same order. Raises ValueError if there are none, for
    lists of different lengths and for scores outside 0..1.
    """
    if not small or len(small) != len(large):
        raise ValueError(f"scores must be in pairs, but there are {len(small)} and {len(large)}")
    if any(not 0.0 <= score <= 1.0 for score in (*small, *large)):
        raise ValueError("a score must be between 0 and 1")
    import numpy as np
    from scipy.stats import binomtest

    a, b = np.asarray(small, dtype=float), np.asarray(large, dtype=float)
    better, worse = int((a > b).sum()), int((a < b).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    ratio = interval = once = method = None
    bounds = ratio_bounds(a, b, confidence)
    if bounds is not None:
        ratio = float(a.mean() / b.mean())
        interval = Interval(*bounds, confidence)
        once, method = _ratio_interval(a, b, better, worse, confidence)
    return Compared(
        len(a),
        float(a.mean()),
        float(b.mean()),
        ratio,
        interval,
        once,
        method,
        better,
        worse,
        p,
        float(np.var(a - (ratio or 0.0) * b)),
    )


def mean_interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The interval of a mean score: exact if scores are 0 or 1, else by Student's t, within
    0..1.
    """
    each = 1.0 - (1.0 - confidence) / 2.0
    n = len(scores)
    if all(score in (0.0, 1.0) for score in scores):
        right = int(sum(scores))
        return Interval(lower_bound(right, n, each), upper_bound(right, n, each), confidence)
    from scipy.stats import t

    mean = sum(scores) / n
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / max(n - 1, 1) / n)
    off = float(t.ppf(each, max(n - 1, 1))) * spread
    return Interval(max(0.0, mean - off), min(1.0, mean + off), confidence)


def fieller(a: Any, b: Any, confidence: float = CONFIDENCE) -> Interval | None:
    """The interval of the ratio of two paired means, by Fieller's theorem; None if the second mean
    is not significantly above 0, so that the ratio is unbounded.
    """
    import numpy as np
    from scipy.stats import t

    n = len(a)
    if n < 3:
        return None
    z2 = float(t.ppf(1.0 - (1.0 - confidence) / 2.0, n - 1)) ** 2
    cov = np.cov(a, b) / n
    # The ratios r with (mean(a) - r mean(b))^2 <= z^2 (v_a - 2 r c + r^2 v_b).
    square = b.mean() ** 2 - z2 * cov[1, 1]
    half = a.mean() * b.mean() - z2 * cov[0, 1]
    rest = a.mean() ** 2 - z2 * cov[0, 0]
    inside = half**2 - square * rest
    if square <= 0 or inside < 0:
        return None
    root = math.sqrt(inside)
    return Interval(float((half - root) / square), float((half + root) / square), confidence)


def bootstrap(a: Any, b: Any, confidence: float = CONFIDENCE) -> Interval | None:
    """The interval of the ratio of two paired means, by resampling the pairs (BCa); None if there
    is no variation. The random seed is fixed, so that the same scores give the same bounds.
    """
    import numpy as np
    from scipy.stats import bootstrap as resampled

    def ratio(x: Any, y: Any, axis: int = -1) -> Any:
        return x.mean(axis=axis) / y.mean(axis=axis)

    with np.errstate(all="ignore"):
        bounds = resampled(
            (a, b),
            ratio,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, 2_000_000 // len(a)),
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    low, high = float(bounds.low), float(bounds.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Interval(low, high, confidence)


def _ratio_interval(
    a: Any, b: Any, better: int, worse: int, confidence: float
) -> tuple[Interval | None, Method | None]:
    if better + worse < FEW:
        return _by_pairs_that_differ(len(a), float(b.mean()), better, worse, confidence), "exact"
    interval = bootstrap(a, b, confidence) if len(a) <= MOST_RESAMPLED else None
    if interval is not None:
        return interval, "bootstrap"
    interval = fieller(a, b, confidence)
    return interval, None if interval is None else "fieller"


def _by_pairs_that_differ(
    n: int, large: float, better: int, worse: int, confidence: float
) -> Interval:
    """A differing pair changes the small tier's mean by at most 1/n."""
    each = 1.0 - (1.0 - confidence) / 4.0
    most_up, most_down = upper_bound(better, n, each), upper_bound(worse, n, each)
    least_up, least_down = lower_bound(better, n, each), lower_bound(worse, n, each)
    return Interval(
        max(0.0, 1.0 - (most_down - least_up) / large),
        1.0 + max(0.0, most_up - least_down) / large,
        confidence,
    )
