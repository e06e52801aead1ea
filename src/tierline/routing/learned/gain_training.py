"""Training a router on what asking the stronger tier gained.

Predictors are fitted from the form of the text, its meaning, its kind (found by clustering), and
the gains of the most similar requests. Each is also tried divided by the predicted price of the
step. An ensemble of them and of prompt length is chosen by the area under the cost-quality curve,
on rows that they were not fitted on (greedy selection with repeats, Caruana et al. 2004).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tierline.routing.learned.gain_router import (
    FORM,
    RANK,
    Array,
    ByLength,
    GainRouter,
    Kinds,
    Linear,
    Member,
    Neighbours,
    Predictor,
    Ranks,
    Requests,
    StepPrice,
)
from tierline.routing.learned.logistic import fit_logistic
from tierline.routing.thresholds.combination import Combination, Term

FOLDS = 3  # within the training rows, to choose the ensemble
MEMBERS = 8  # of the ensemble, with repeats
PENALTY = 3.0  # of ridge regression
INVERSE_PENALTY = 3.0  # of logistic regression
NEIGHBOURS = (5, 10, 20)
KINDS = 16  # clusters
SHRINK = 20.0  # rows that the mean of all counts as, in the mean of a kind
CHEAPEST = 0.2  # the least price that is predicted, as a share of the mean price
FEWEST_PRICES = 30  # with fewer known prices, the price of a step is not looked at
MOST_EXAMPLES = 4_000  # that a router stores: 0.8 kB each
MOST_POINTS = 200  # of the ranks of a member
STEEPEST = 50.0  # log odds from the lowest rank to the highest
NEWTON_STEPS = 50  # Newton steps of the curve, which needs about five

Fitter = Callable[[Array], Predictor]  # is fitted on the rows at these places


@dataclass(frozen=True)
class GainRows:
    """What a router is trained on."""

    requests: Requests
    gains: Array  # -1 to 1: the stronger tier's quality less the first one's
    prices: Array  # what asking it costs more; NaN: unknown
    stands_for: Array  # 1 over the probability with which the row was drawn

    def __len__(self) -> int:
        return len(self.requests)

    def of(self, places: Array) -> "GainRows":
        """The rows at those places."""
        return GainRows(
            self.requests.of(places),
            self.gains[places],
            self.prices[places],
            self.stands_for[places],
        )


@dataclass(frozen=True)
class _Candidate:
    """One way to rank: a predictor, and whether the price divides what it predicts."""

    predictor: str
    weighed: bool


def train_gain(rows: GainRows) -> GainRouter:
    """The router that best predicts the gains of these rows."""
    import numpy as np

    fitters = fitters_of(rows)
    held_out = _held_out(fitters, rows)
    price = _price(rows)
    per_step = 1.0 if price is None else price.predict(rows.requests.log_lengths)
    predictions = {
        _Candidate(name, weighed): values / per_step if weighed else values
        for name, values in held_out.items()
        for weighed in ((False,) if price is None or name == "length" else (False, True))
    }
    ranks = {one: ranks_of(values) for one, values in predictions.items()}
    places = {one: ranks[one].of(values) for one, values in predictions.items()}
    known_prices = np.isfinite(rows.prices)
    cost = np.ones(len(rows)) if price is None else np.where(known_prices, rows.prices, per_step)
    chosen = _ensemble(places, rows.gains * rows.stands_for, cost * rows.stands_for)
    members = tuple(
        Member(one.predictor, one.weighed, times, ranks[one]) for one, times in chosen.items()
    )
    every = np.arange(len(rows))
    predictors = {name: fitters[name](every) for name in {one.predictor for one in members}}
    mean = sum(one.times * places[_Candidate(one.predictor, one.weighed)] for one in members)
    mean = mean / sum(one.times for one in members)
    curve = _curve(mean, rows.gains > 0, rows.stands_for)
    return GainRouter(predictors, members, price, curve)


def fitters_of(rows: GainRows) -> dict[str, Fitter]:
    """The predictors that are tried, by name, as functions that fit them."""
    import numpy as np

    forms, vectors, gains = rows.requests.forms, rows.requests.vectors, rows.gains
    fitters: dict[str, Fitter] = {
        "length": lambda _: ByLength(),
        "form": lambda places: Linear(_ridge(forms[places], gains[places], scaled=True), None),
    }
    if vectors is None:
        return fitters
    spread = forms.std(axis=0) + 1e-9
    both = np.hstack([forms / spread / 10.0, vectors])
    none = np.zeros(len(FORM))

    def form_and_meaning(places: Array) -> Predictor:
        weights = _ridge(both[places], gains[places], scaled=False)
        return Linear(weights[: len(FORM)] / spread / 10.0, weights[len(FORM) :])

    def meaning(places: Array) -> Predictor:
        return Linear(none, _ridge(vectors[places], gains[places], scaled=False))

    def mended(places: Array) -> Predictor:
        truth = gains[places] > 0
        if truth.all() or not truth.any():
            return Linear(none, np.zeros(vectors.shape[1]))
        fitted = fit_logistic(vectors[places], truth, INVERSE_PENALTY)
        return Linear(none, fitted.weights)

    fitters |= {
        "meaning": meaning,
        "meaning, logistic": mended,
        "form and meaning": form_and_meaning,
        "kinds": partial(_kinds, vectors, gains),
    }
    return fitters | {
        f"{count} neighbours": partial(nearest_examples, vectors, gains, count)
        for count in NEIGHBOURS
    }


def _held_out(fitters: Mapping[str, Fitter], rows: GainRows) -> dict[str, Array]:
    """Each predictor's predictions for the rows, fitted on the other folds."""
    import numpy as np

    predictions = {name: np.zeros(len(rows)) for name in fitters}
    places = np.arange(len(rows))
    for fold in range(FOLDS):
        judged = places[places % FOLDS == fold]
        others = places[places % FOLDS != fold]
        for name, fitter in fitters.items():
            predictions[name][judged] = fitter(others).predict(rows.requests.of(judged))
    return predictions


def _ensemble(
    ranks: Mapping[_Candidate, Array], gains: Array, prices: Array
) -> "Counter[_Candidate]":
    """The candidates, and how often each counts, whose mean rank has the largest area."""
    import numpy as np

    chosen: Counter[_Candidate] = Counter()
    total, best = np.zeros(len(gains)), -np.inf
    for _ in range(MEMBERS):
        areas = {one: _area(total + rank, gains, prices) for one, rank in ranks.items()}
        winner = max(areas, key=lambda one: areas[one])
        if areas[winner] <= best:
            break
        best = areas[winner]
        chosen[winner] += 1
        total = total + ranks[winner]
    return chosen


def _area(first: Array, gains: Array, prices: Array) -> float:
    """The mean gain over all budgets, if requests escalate in the order of `first`, falling."""
    import numpy as np

    order = np.argsort(-first, kind="stable")
    gained = gains[order].cumsum()
    before = gained - gains[order]
    return float(((before + gained) / 2.0 * prices[order]).sum() / prices.sum())


def ranks_of(values: Array) -> Ranks:
    """The ranks of values among themselves; equal ones share the middle."""
    import numpy as np

    distinct, counts = np.unique(values, return_counts=True)
    middle = (counts.cumsum() - counts / 2.0) / len(values)
    if len(distinct) > MOST_POINTS:
        kept = np.unique(np.searchsorted(middle, np.linspace(middle[0], middle[-1], MOST_POINTS)))
        distinct, middle = distinct[kept], middle[kept]
    return Ranks(distinct, middle)


def _curve(ranks: Array, mended: Array, stands_for: Array) -> Combination:
    """The chance that nothing is gained at each rank: a logistic curve that never rises. Newton's
    method with a small penalty on the slope.
    """
    import numpy as np

    mean, spread = float(ranks.mean()), float(ranks.std()) or 1.0
    x = np.column_stack([np.ones(len(ranks)), (ranks - mean) / spread])
    weights = stands_for / stands_for.mean()
    kept = 1.0 - mended.astype(float)
    share = float(np.clip((weights * kept).sum() / weights.sum(), 1e-6, 1.0 - 1e-6))
    point = np.array([np.log(share / (1.0 - share)), 0.0])
    penalty = np.array([1e-6, 1.0])
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ point, -STEEPEST, STEEPEST)))
        gradient = x.T @ (weights * (chance - kept)) + penalty * point
        curvature = (x * (weights * chance * (1.0 - chance))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        point = np.clip(point - step, -STEEPEST, STEEPEST)
        if float(np.abs(step).max()) < 1e-8:
            break
    if point[1] > 0:  # a higher rank never means less gain
        point = np.array([np.log(share / (1.0 - share)), 0.0])
    return Combination(float(point[0]), {RANK: Term(mean, spread, float(point[1]))})


def chance_by_length(rows: GainRows, max_risk: float) -> int | None:
    """The characters from which the chance of a gain is above `max_risk`, by length alone. None: no
    text of the rows is that long, or all are, or the length says nothing.
    """
    import numpy as np

    log_lengths = rows.requests.log_lengths
    curve = _curve(log_lengths, rows.gains > 0, rows.stands_for)
    ordered = np.unique(log_lengths)
    above = [one for one in ordered if 1.0 - curve.score({RANK: float(one)}) > max_risk]
    if not above or len(above) == len(ordered):
        return None
    return round(float(np.expm1(above[0]))) - 1


def _price(rows: GainRows) -> StepPrice | None:
    """The price of a step by the length of the request; None if too few are known."""
    import numpy as np

    has_price = np.isfinite(rows.prices)
    if int(has_price.sum()) < min(FEWEST_PRICES, len(rows)):
        return None
    x, y = np.expm1(rows.requests.log_lengths[has_price]), rows.prices[has_price]
    mean, middle, spread = float(y.mean()), float(x.mean()), float(x.var())
    if mean <= 0:
        return None
    slope = float(((x - middle) * (y - mean)).mean()) / spread if spread else 0.0
    return StepPrice(slope, middle, mean, CHEAPEST * mean)


def _ridge(columns: Array, gains: Array, *, scaled: bool) -> Array:
    """The weights of a ridge regression. `scaled`: the penalty is on standardised columns."""
    import numpy as np

    mean = columns.mean(axis=0)
    spread = columns.std(axis=0) + 1e-9 if scaled else np.ones(columns.shape[1])
    z, y = (columns - mean) / spread, gains - gains.mean()
    weights: Any = np.linalg.solve(z.T @ z + PENALTY * np.eye(z.shape[1]), z.T @ y)
    return weights / spread


def nearest_examples(vectors: Array, gains: Array, count: int, places: Array) -> Predictor:
    """The mean gain of the nearest of these rows; of many, an even share is kept."""
    import numpy as np

    kept = places
    if len(places) > MOST_EXAMPLES:
        kept = places[np.linspace(0, len(places) - 1, MOST_EXAMPLES).astype(int)]
    as_stored = vectors[kept].astype(np.float16).astype(np.float32)
    return Neighbours(count, as_stored, gains[kept])


def _kinds(vectors: Array, gains: Array, places: Array) -> Predictor:
    import numpy as np
    from sklearn.cluster import MiniBatchKMeans

    kinds = min(KINDS, max(1, len(places) // 20))
    clusters = MiniBatchKMeans(kinds, random_state=0, n_init=1).fit(vectors[places])
    sizes = np.bincount(clusters.labels_, minlength=kinds)
    sums = np.bincount(clusters.labels_, weights=gains[places], minlength=kinds)
    means = (sums + SHRINK * gains[places].mean()) / (sizes + SHRINK)
    return Kinds(clusters.cluster_centers_, means)
