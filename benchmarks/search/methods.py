"""The threshold search and the methods that it is compared with, on many simulated sets at once.

All get the same outcomes. Each returns the chosen threshold of every set; NOTHING where it promises
nothing. The product's search spends a share of the outcomes on learning its scores and 10% of the
risk on later calibrations; the others test on all outcomes and spend the whole risk.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tierline.routing.thresholds.many_searches import (
    NONE,
    counts_at,
    last_in_sequence,
    most_errors,
    search_each,
)
from tierline.routing.thresholds.promise import FIT_SHARE
from tierline.routing.thresholds.threshold_search import confidence_of_attempt

CONFIDENCE = 0.95
NOTHING = 2.0  # above every score: it serves none
GRID = 50
LTT_THRESHOLDS = 100

Array = Any


@dataclass(frozen=True)
class Kind:
    """Outcomes whose score is uniform on 0..1 and whose error rate at each score is known."""

    name: str
    intercept: float  # error rate at score s: scale / (1 + exp(slope (s - middle))) + intercept
    scale: float
    slope: float
    middle: float

    def rate(self, score: Array) -> Array:
        return self.intercept + self.scale / (1.0 + np.exp(self.slope * (score - self.middle)))

    def error_above(self, threshold: Array) -> Array:
        """The true error rate of what a threshold serves."""
        left, right = (
            np.logaddexp(0.0, -self.slope * (at - self.middle)) for at in (threshold, 1.0)
        )
        share = np.maximum(1.0 - threshold, 1e-9)
        return self.intercept + self.scale * (left - right) / self.slope / share

    def best(self, max_error: float) -> float:
        """The loosest threshold that keeps the promise: what the oracle serves at."""
        thresholds = np.linspace(0.0, 1.0, 20_001)[:-1]
        kept = self.error_above(thresholds) <= max_error
        return float(thresholds[kept].min()) if kept.any() else NOTHING


KINDS = (
    Kind("a strong signal", 0.001, 0.60, 22.0, 0.22),  # 13% wrong, nearly all with low scores
    Kind("a weak signal", 0.0, 0.40, 4.0, 0.10),  # 15% wrong, spread over the scores
)


@dataclass(frozen=True)
class Sets:
    """Simulated sets: rows of scores, and whether each answer is wrong."""

    scores: Array
    wrong: Array


def draw(kind: Kind, sets: int, count: int, seed: int) -> Sets:
    random = np.random.default_rng(seed)
    scores = random.random((sets, count))
    return Sets(scores, random.random((sets, count)) < kind.rate(scores))


def tierline(sets: Sets, max_error: float) -> Array:
    """The product's search: the grid comes from the outcomes that the scores are fitted on."""
    count = sets.scores.shape[1]
    fitted = round(count * FIT_SHARE)
    ordered = -np.sort(-sets.scores[:, :fitted], axis=1)
    grid = ordered[:, [fitted * step // GRID for step in range(GRID)]]
    thresholds = np.concatenate([grid, np.zeros((len(grid), 1))], axis=1)
    served, errors = counts_at(sets.scores[:, fitted:], sets.wrong[:, fitted:], thresholds)
    counts_fitted = counts_at(sets.scores[:, :fitted], sets.wrong[:, :fitted], thresholds)
    at = search_each(served, errors, max_error, confidence_of_attempt(1, CONFIDENCE), counts_fitted)
    return _taken(thresholds, at)


def learn_then_test(sets: Sets, max_error: float) -> Array:
    """Fixed-sequence testing with exact binomial bounds from the strictest threshold that can pass
    (Angelopoulos et al. 2021). It knows how scores are distributed.
    """
    thresholds = np.tile(np.linspace(0.99, 0.0, LTT_THRESHOLDS), (len(sets.scores), 1))
    served, errors = counts_at(sets.scores, sets.wrong, thresholds)
    allowed = most_errors(served, max_error, CONFIDENCE)
    can = allowed >= 0
    start = np.where(can.any(axis=1), can.argmax(axis=1), LTT_THRESHOLDS)
    return _taken(thresholds, last_in_sequence(errors <= allowed, start))


def selection_with_guaranteed_risk(sets: Sets, max_error: float) -> Array:
    """A binary search over the scores; the risk is split evenly among its steps (Geifman and
    El-Yaniv 2017).
    """
    rows, count = sets.scores.shape
    order = np.argsort(sets.scores, axis=1)
    ordered = np.take_along_axis(sets.scores, order, 1)
    wrong = np.take_along_axis(sets.wrong, order, 1)
    errors = wrong[:, ::-1].cumsum(axis=1)[:, ::-1]
    steps = int(np.ceil(np.log2(count)))
    low, high = np.zeros(rows, dtype=int), np.full(rows, count)
    thresholds = np.full(rows, NOTHING)
    everyone = np.arange(rows)
    for _ in range(steps):
        middle = (low + high) // 2
        allowed = most_errors(count - middle, max_error, 1.0 - (1.0 - CONFIDENCE) / steps)
        passed = errors[everyone, middle] <= allowed
        thresholds = np.where(passed, np.minimum(thresholds, ordered[everyone, middle]), thresholds)
        low, high = np.where(passed, low, middle + 1), np.where(passed, middle, high)
        high = np.maximum(high, low)
        low = np.minimum(low, count - 1)
    return thresholds


METHODS = {
    "tierline": tierline,
    "LTT, exact binomial": learn_then_test,
    "SGR": selection_with_guaranteed_risk,
}


@dataclass(frozen=True)
class Result:
    """What a method makes of a thousand sets."""

    power: float  # served, as a share of what the oracle serves
    promised: float  # share of the sets in which anything is promised
    broken: int  # sets whose promise is broken


def result(kind: Kind, thresholds: Array, max_error: float) -> Result:
    served = np.maximum(0.0, 1.0 - thresholds)
    promised = thresholds < NOTHING
    broken = promised & (kind.error_above(np.minimum(thresholds, 1.0)) > max_error)
    best = max(0.0, 1.0 - kind.best(max_error))
    power = float(served.mean()) / best if best else 0.0
    return Result(power, float(promised.mean()), int(broken.sum()))


def _taken(thresholds: Array, at: Array) -> Array:
    chosen = thresholds[np.arange(len(thresholds)), np.maximum(at, 0)]
    return np.where(at == NONE, NOTHING, chosen)
