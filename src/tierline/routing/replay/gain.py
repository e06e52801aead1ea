"""A router that learns what escalating gains: the stronger tier's quality less the weak tier's.

"The weak tier is wrong" is another question: where both are wrong, escalating gains nothing.
Several simple predictors of the gain are fitted: from the form of the text, its meaning, its kind
(found by clustering), and the gains of the most similar requests. Each is also weighed by the
predicted price of the step. An ensemble of them and of prompt length is chosen by the area under
the cost-quality curve, on rows that they were not fitted on (greedy selection with repeats, Caruana
et al. 2004).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.rankers import Ranker, Scorer

Array = Any  # of numpy, which is imported where it is needed
Predictor = Callable[[Array], Array]  # from indexes to predictions
Fitter = Callable[[Array], Predictor]  # is fitted on the outcomes of these indexes

FOLDS = 3  # within the fitted rows, to choose the ensemble
MEMBERS = 8  # of the ensemble, with repeats
PENALTY = 3.0  # of ridge regression
NEIGHBOURS = (5, 10, 20)
KINDS = 16  # clusters
SHRINK = 20.0  # outcomes that the mean of all counts as, in the mean of a kind
CHEAPEST = 0.2  # the least price that is predicted, as a share of the mean price
OPTION = re.compile(r"(?m)^\s*(?:\(?[A-Ha-h1-8][.):])\s")  # one option of a multiple choice


def form(text: str) -> dict[str, float]:
    """`text_signals`, and how many options and numbers the text has."""
    return text_signals(text) | {
        "options": float(len(OPTION.findall(text))),
        "numbers": float(len(re.findall(r"\d+", text)[:50])),
    }


def gain(prompts: Sequence[str], outcomes: Sequence[Outcome], embeddings: Vectors | None) -> Ranker:
    """A ranker of requests by what the weak tier keeps: the smaller the gain for its price, the
    higher the score.
    """
    import numpy as np

    shapes = [form(prompt) for prompt in prompts]
    forms = np.array([[one[name] for name in sorted(shapes[0])] for one in shapes])
    lengths = np.array([float(len(prompt)) for prompt in prompts])
    gains = np.array([one.strong_quality - one.weak_quality for one in outcomes])
    prices = np.array([one.strong_cost - one.weak_cost for one in outcomes])
    fitters = _fitters(forms, lengths, gains, embeddings)

    def ranker(fitting: Sequence[int]) -> Scorer:
        rows = np.array(fitting)
        held_out = _held_out(fitters, rows)
        price = _price(lengths, prices, rows)
        candidates = [
            _Candidate(name, weighed)
            for name in fitters
            for weighed in (False, True)
            if not (weighed and name == "length")
        ]

        def values(candidate: _Candidate, predicted: Array, indexes: Array) -> Array:
            return predicted / price(indexes) if candidate.weighed else predicted

        known = {one: values(one, held_out[one.name], rows) for one in candidates}
        ranks = {one: _rank(np.sort(known[one]), known[one]) for one in candidates}
        chosen = _ensemble(ranks, gains[rows], prices[rows])
        fitted = {name: fitters[name](rows) for name in {one.name for one in chosen}}

        def score(indexes: Sequence[int]) -> list[float]:
            asked = np.array(indexes)
            total = np.zeros(len(asked))
            for one in chosen:
                predicted = values(one, fitted[one.name](asked), asked)
                total += _rank(np.sort(known[one]), predicted)
            return [float(value) for value in -total / len(chosen)]

        return score

    return ranker


@dataclass(frozen=True)
class _Candidate:
    """One way to rank: a predictor, and whether the price divides what it predicts."""

    name: str
    weighed: bool


def _fitters(
    forms: Array, lengths: Array, gains: Array, embeddings: Vectors | None
) -> dict[str, Fitter]:
    import numpy as np

    fitters: dict[str, Fitter] = {
        "length": lambda _: lambda indexes: lengths[indexes],
        "form": lambda rows: _ridge(forms, gains, rows),
    }
    if embeddings is not None:
        both = np.hstack([forms / (forms.std(axis=0) + 1e-9) / 10.0, embeddings])
        fitters |= {
            "meaning": lambda rows: _ridge(embeddings, gains, rows, scale=False),
            "form and meaning": lambda rows: _ridge(both, gains, rows, scale=False),
            "kinds": lambda rows: _kinds(embeddings, gains, rows),
        }
        fitters |= {
            f"{count} neighbours": partial(_neighbours, embeddings, gains, count)
            for count in NEIGHBOURS
        }
    return fitters


def _held_out(fitters: dict[str, Fitter], rows: Array) -> dict[str, Array]:
    """Each predictor's predictions for `rows`, fitted on the other folds."""
    import numpy as np

    found = {name: np.zeros(len(rows)) for name in fitters}
    places = np.arange(len(rows))
    for fold in range(FOLDS):
        judged = places % FOLDS == fold
        for name, fitter in fitters.items():
            found[name][judged] = fitter(rows[~judged])(rows[judged])
    return found


def _ensemble(
    ranks: dict[_Candidate, Array], gains: Array, prices: Array
) -> tuple[_Candidate, ...]:
    """The candidates, with repeats, whose mean rank has the largest area."""
    import numpy as np

    chosen: list[_Candidate] = []
    total, best = np.zeros(len(gains)), -np.inf
    for _ in range(MEMBERS):
        areas = {one: _area(total + rank, gains, prices) for one, rank in ranks.items()}
        winner = max(areas, key=lambda one: areas[one])
        if areas[winner] <= best:
            break
        best = areas[winner]
        chosen.append(winner)
        total = total + ranks[winner]
    return tuple(chosen)


def _area(escalate_first: Array, gains: Array, prices: Array) -> float:
    """The mean gain over all budgets, if the requests with the highest values escalate first."""
    import numpy as np

    order = np.argsort(-escalate_first, kind="stable")
    gained = gains[order].cumsum()
    before = gained - gains[order]
    return float(((before + gained) / 2.0 * prices[order]).sum() / prices.sum())


def _rank(ordered: Array, values: Array) -> Array:
    """Where each value stands among the known ones, 0 to 1; ties stand in the middle."""
    import numpy as np

    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (low + high) / (2.0 * len(ordered))


def _price(lengths: Array, prices: Array, rows: Array) -> Predictor:
    """The predicted price of a step, from the length of the request. Never near 0."""
    import numpy as np

    x, y = lengths[rows], prices[rows]
    spread = float(x.var())
    slope = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread else 0.0
    middle, mean = float(x.mean()), float(y.mean())
    return lambda indexes: np.maximum(
        mean + slope * (lengths[indexes] - middle), CHEAPEST * abs(mean) or 1.0
    )


def _ridge(features: Array, gains: Array, rows: Array, *, scale: bool = True) -> Predictor:
    import numpy as np

    x = features[rows]
    mean = x.mean(axis=0)
    spread = x.std(axis=0) + 1e-9 if scale else np.ones(x.shape[1])
    z, y = (x - mean) / spread, gains[rows] - gains[rows].mean()
    weights = np.linalg.solve(z.T @ z + PENALTY * np.eye(z.shape[1]), z.T @ y)
    return lambda indexes: ((features[indexes] - mean) / spread) @ weights


def _neighbours(embeddings: Array, gains: Array, neighbours: int, rows: Array) -> Predictor:
    """The mean gain of the nearest fitted requests; nearer ones weigh more."""
    import numpy as np

    count = min(neighbours, len(rows))

    def predict(indexes: Array) -> Array:
        found = np.zeros(len(indexes))
        for start in range(0, len(indexes), 1_000):  # bounds the memory
            part = embeddings[indexes[start : start + 1_000]] @ embeddings[rows].T
            near = np.argpartition(-part, count - 1, axis=1)[:, :count]
            closeness = np.take_along_axis(part, near, axis=1)
            weights = 1.0 / np.sqrt(np.maximum(2.0 - 2.0 * closeness, 1e-6))  # of their distance
            mean = (weights * gains[rows][near]).sum(axis=1) / weights.sum(axis=1)
            found[start : start + 1_000] = mean
        return found

    return predict


def _kinds(embeddings: Array, gains: Array, rows: Array) -> Predictor:
    """The mean gain of the request's cluster, shrunk to the mean of all."""
    import numpy as np
    from sklearn.cluster import MiniBatchKMeans

    kinds = min(KINDS, max(1, len(rows) // 20))
    clusters = MiniBatchKMeans(kinds, random_state=0, n_init=1).fit(embeddings[rows])
    sizes = np.bincount(clusters.labels_, minlength=kinds)
    sums = np.bincount(clusters.labels_, weights=gains[rows], minlength=kinds)
    means = (sums + SHRINK * gains[rows].mean()) / (sizes + SHRINK)
    return lambda indexes: means[clusters.predict(embeddings[indexes])]
