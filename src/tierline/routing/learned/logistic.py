"""Logistic regression by Newton's method, for many rows and a few hundred columns.

It minimises the same function as scikit-learn's LogisticRegression, `C` times the log loss plus
half the squared weights, without a penalty on the intercept. The matrix of second derivatives is
the expensive part. It is calculated again only when the steps with the last one become poor, and a
fit may begin with the matrix of a similar fit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tierline.base.vectors import Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_STEPS = 200
TOLERANCE = 1e-5  # of the mean log loss's gradient; scikit-learn's default is 1e-4
POOR = 0.5  # a step that leaves more than this of the gradient asks for a new matrix
SHORTEST = 1e-3  # share of a step below which a fit gives up; rounding errors remain
CHUNK = 4_096  # rows of which the matrix is calculated at a time, to bound the memory


@dataclass(frozen=True)
class Logistic:
    """A fitted model: the log odds of a row are `rows @ weights + intercept`."""

    weights: "NDArray[np.float64]"
    intercept: float
    curvature: "NDArray[np.float64]"  # the loss's second derivatives per row, for similar fits

    def log_odds(self, rows: Vectors) -> "NDArray[np.float32]":
        """One number per row."""
        import numpy as np

        weights = self.weights.astype(np.float32)
        odds: NDArray[np.float32] = rows @ weights + np.float32(self.intercept)
        return odds


def fit_logistic(
    rows: Vectors, truth: Any, inverse_penalty: float, start: Logistic | None = None
) -> Logistic:
    """The best model of an array of booleans by rows of numbers. `start`: a similar fit, which
    makes this one faster and does not change it. Both kinds of `truth` must occur.
    """
    import numpy as np

    count, columns = rows.shape
    signs = np.where(truth, 1.0, -1.0).astype(np.float32)
    ridge = np.full(columns + 1, 1.0 / (inverse_penalty * count))  # of the mean loss
    ridge[-1] = 0.0
    if start is None:
        rate = float(np.mean(truth))
        point = np.zeros(columns + 1)
        point[-1] = np.log(rate / (1.0 - rate))
        curvature = None
    else:
        point = np.append(start.weights, start.intercept)
        curvature = start.curvature
    value, gradient, spread = _mean_loss(rows, signs, point, ridge)
    inverse = None
    for _ in range(MOST_STEPS):
        size = float(np.abs(gradient).max())
        if size <= TOLERANCE:
            break
        fresh = curvature is None
        if curvature is None:
            curvature = curvature_of(rows, spread)
        if inverse is None:
            inverse = np.linalg.inv(curvature + np.diag(ridge + 1e-12))
        step, share = inverse @ gradient, 1.0
        slope = float(step @ gradient)
        while True:
            tried = _mean_loss(rows, signs, point - share * step, ridge)
            if tried[0] <= value - 1e-4 * share * slope or share < SHORTEST:
                break
            share /= 2.0
        if share < SHORTEST and fresh:
            break
        if tried[0] <= value:
            point = point - share * step
            value, gradient, spread = tried
        if float(np.abs(gradient).max()) > POOR * size:
            curvature = inverse = None
    if curvature is None:
        curvature = curvature_of(rows, spread)
    return Logistic(point[:-1], float(point[-1]), curvature)


def _mean_loss(
    rows: Vectors, signs: Any, point: Any, ridge: Any
) -> tuple[float, Any, "NDArray[np.float32]"]:
    """The penalised mean loss at that point, its gradient, and each row's p (1 - p)."""
    import numpy as np

    odds = rows @ point[:-1].astype(np.float32) + np.float32(point[-1])
    margin = signs * odds
    wrong = 1.0 / (1.0 + np.exp(np.clip(margin, -80.0, 80.0)))
    value = float(np.logaddexp(0.0, -margin).mean(dtype=np.float64))
    pull = -signs * wrong
    gradient = np.append(pull @ rows, pull.sum(dtype=np.float64)) / len(rows) + ridge * point
    return value + 0.5 * float(ridge @ point**2), gradient, wrong * (1.0 - wrong)


def curvature_of(rows: Vectors, spread: Any) -> "NDArray[np.float64]":
    """The mean of spread times the outer product of each row with itself, its 1 included."""
    import numpy as np

    count, columns = rows.shape
    curvature: NDArray[np.float64] = np.zeros((columns + 1, columns + 1))
    for begin in range(0, count, CHUNK):
        part = rows[begin : begin + CHUNK] * np.sqrt(spread[begin : begin + CHUNK, None])
        curvature[:-1, :-1] += part.T @ part
    edge = spread @ rows
    curvature[-1, :-1] = curvature[:-1, -1] = edge
    curvature[-1, -1] = spread.sum(dtype=np.float64)
    curvature /= count
    return curvature
