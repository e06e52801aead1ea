"""Whether more labelled data would help: errors at growing shares of it, and a curve through them.

Errors fall with the amount of data n as a power law, a + b n^-c, towards a floor a (Hestness et al.
2017, "Deep Learning Scaling is Predictable, Empirically").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.vectors import Vectors

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8)  # of the training rows
DRAWS = 6  # per share; their spread gives the interval
RESAMPLES = 200
CONFIDENCE = 0.9
MOST_ROWS = 3_000  # training rows; with more, the fits take minutes
WORTH = 0.005  # share of answers; a smaller gain is not worth labelling for
SEED = 11


@dataclass(frozen=True)
class Curve:
    """What the errors of a classifier on the feature's embeddings say about more data."""

    rows: tuple[int, ...]  # training rows of each point
    errors: tuple[float, ...]  # mean of the draws, for each point
    all_rows: int
    now: float  # with all rows, from the fitted curve
    doubled: float  # with twice as many
    fewer: tuple[float, float]  # the interval of `now` - `doubled` at CONFIDENCE
    floor: float  # with any number of rows

    @property
    def helps(self) -> bool:
        """Whether twice the rows certainly reduce errors by a worthwhile amount."""
        return self.fewer[0] >= WORTH


def learning_curve(
    vectors: Vectors, labels: Sequence[str], test_vectors: Vectors, test_labels: Sequence[str]
) -> Curve | None:
    """Trained on shares of the rows, and tested on the others; None if there are too few."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    given = np.asarray(labels)
    right = np.asarray(test_labels)
    count = min(len(given), MOST_ROWS)
    rows = [round(share * count) for share in SHARES]
    if len(set(labels)) < 2 or rows[0] < 2 * len(set(labels)) or not len(right):
        return None
    errors = np.zeros((DRAWS, len(rows)))
    for number in range(DRAWS):
        order = draw.permutation(len(given))
        for place, size in enumerate(rows):
            some = order[:size]
            if len(set(given[some].tolist())) < 2:
                return None
            errors[number, place] = _error(vectors[some], given[some], test_vectors, right)
    means = errors.mean(axis=0)
    now, doubled, floor = _extended(rows, count, means)
    gains = []
    for _ in range(RESAMPLES):
        again = _extended(rows, count, errors[draw.integers(0, DRAWS, DRAWS)].mean(axis=0))
        gains.append(again[0] - again[1])
    tail = (1.0 - CONFIDENCE) / 2.0
    return Curve(
        tuple(rows),
        tuple(float(one) for one in means),
        count,
        now,
        doubled,
        (float(np.quantile(gains, tail)), float(np.quantile(gains, 1.0 - tail))),
        floor,
    )


def _error(vectors: Any, labels: Any, test_vectors: Any, right: Any) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=200, tol=1e-3).fit(vectors, labels)
    return float((model.predict(test_vectors) != right).mean())


def _extended(rows: Sequence[int], count: int, errors: Any) -> tuple[float, float, float]:
    """The error at `count` rows and at twice as many, and the floor, from the power law with the
    best fit (least squares).
    """
    import numpy as np
    from scipy.optimize import curve_fit

    n = np.asarray(rows, dtype=float) / count

    def law(n: Any, floor: float, scale: float, power: float) -> Any:
        return floor + scale * n**-power

    half = float(errors[-1]) / 2.0
    try:
        (floor, scale, power), _ = curve_fit(
            law,
            n,
            errors,
            p0=(half, half + 1e-3, 0.5),
            bounds=([0.0, 0.0, 0.0], [1.0, 1.0, 2.0]),
            maxfev=5_000,
        )
    except RuntimeError:  # no convergence: assume that more rows change nothing
        return float(errors[-1]), float(errors[-1]), float(errors[-1])
    return float(floor + scale), float(law(2.0, floor, scale, power)), float(floor)
