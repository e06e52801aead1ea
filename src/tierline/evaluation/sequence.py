"""An interval of the ratio of two paired means that holds however often one looks and adds.

A confidence sequence by betting (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
variables by betting", JRSS-B 86). A ratio r is refuted when a bettor who may only lose if r were
true has multiplied the capital by 1 / risk; by Ville's inequality that happens with at most this
probability, at any time and after any number of looks. The bets are a fixed mixture of sizes (the
method of mixtures, Robbins 1970), so the capital does not depend on the order of the examples.

Its price: to decide the same question it needs about twice the examples of an interval that is
looked at once; `python -m benchmarks evaluation` measures it.
"""

import math
from typing import Any

SIZES = 24  # bets in the mixture
SMALLEST = 0.004  # the smallest bet, as a share of the largest one
LARGEST = 0.9  # share of the largest bet with which the capital stays above 0
STEPS = 40  # halvings: the bounds are exact to 1e-9
MOST_RATIO = 100.0


def ratio_bounds(small: Any, large: Any, confidence: float) -> tuple[float, float] | None:
    """Both bounds of mean(small) / mean(large), which hold together at `confidence`.

    Arrays of scores 0 to 1 of the same examples. None if the large tier is never right.
    """
    import numpy as np

    if not large.any():
        return None
    pairs, counts = np.unique(np.column_stack([small, large]), axis=0, return_counts=True)
    a, b = pairs[:, 0], pairs[:, 1]
    each = math.log(2.0 / (1.0 - confidence))  # half of the risk for each bound

    def too_low(ratio: float) -> bool:
        """Whether the true ratio is above this one: a bettor on small > ratio * large wins."""
        return _log_capital(a - ratio * b, counts, max(ratio, 1e-9)) >= each

    def too_high(ratio: float) -> bool:
        return _log_capital(ratio * b - a, counts, 1.0) >= each

    ratio = float((a * counts).sum() / (b * counts).sum())
    return (
        _edge(too_low, 0.0, ratio) if too_low(0.0) else 0.0,
        _edge(too_high, MOST_RATIO, max(ratio, 1e-9)) if too_high(MOST_RATIO) else math.inf,
    )


def _edge(refuted: Any, outside: float, inside: float) -> float:
    """Where a ratio stops being refuted, between one that is and one that is not."""
    for _ in range(STEPS):
        middle = (outside + inside) / 2.0
        outside, inside = (middle, inside) if refuted(middle) else (outside, middle)
    return outside


def _log_capital(gains: Any, counts: Any, most_loss: float) -> float:
    """The log of the capital, from 1, of a mixture of bettors. Each wins its bet times the gain;
    no gain is below -most_loss.
    """
    import numpy as np

    sizes = LARGEST / most_loss * np.geomspace(SMALLEST, 1.0, SIZES)
    capitals = np.log1p(sizes[:, None] * gains[None, :]) @ counts
    return float(np.logaddexp.reduce(capitals)) - math.log(SIZES)
