"""A router that predicts, before any call, what asking the stronger tier first would gain.

"The first tier is wrong" is another question: where the stronger tier is wrong too, asking it gains
nothing. Several simple predictors of the gain are ranked against their own training rows. The mean
of the ranks decides, and a logistic curve turns it into a probability. Only numbers and vectors are
kept: scoring needs numpy, and no scikit-learn.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals
from tierline.routing.thresholds.combination import Combination

Array = Any  # of numpy, which is imported where it is needed

OPTION = re.compile(r"(?m)^\s*(?:\(?[A-Ha-h1-8][.):])\s")  # one option of a multiple choice
MOST_NUMBERS = 50  # that are counted in a text
AT_ONCE = 1_000  # rows that are compared with the examples at a time, to bound the memory
LEAST_DISTANCE = 1e-3  # squared: nearer texts weigh the same, whatever rounding does to them
RANK = "rank"  # the signal that the probability is computed from


def form(text: str) -> dict[str, float]:
    """`text_signals`, and how many options and numbers the text has."""
    return text_signals(text) | {
        "options": float(len(OPTION.findall(text))),
        "numbers": float(len(re.findall(r"\d+", text)[:MOST_NUMBERS])),
    }


FORM = tuple(sorted(form("")))  # the columns of `Requests.forms`


@dataclass(frozen=True)
class Requests:
    """What the predictors see of some requests, one row each."""

    forms: Array  # the columns of FORM
    vectors: Vectors | None  # embeddings of length 1; None: there are none

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def log_lengths(self) -> Array:
        return self.forms[:, FORM.index("log_length")]

    def of(self, places: Array) -> "Requests":
        """The requests at those places."""
        vectors = None if self.vectors is None else self.vectors[places]
        return Requests(self.forms[places], vectors)


def requests_of(texts: list[str], vectors: Vectors | None) -> Requests:
    """The requests with those texts and embeddings."""
    import numpy as np

    forms = np.array([[one[name] for name in FORM] for one in map(form, texts)])
    return Requests(forms.reshape(len(texts), len(FORM)), vectors)


class Predictor(Protocol):
    """Predicts the gain of requests; only the order of its predictions counts."""

    def predict(self, requests: Requests) -> Array: ...


@dataclass(frozen=True)
class ByLength:
    """The longer the text, the more is gained."""

    def predict(self, requests: Requests) -> Array:
        return requests.log_lengths


@dataclass(frozen=True)
class Linear:
    """A weighted sum of the form, of the embedding, or of both."""

    weights: Array  # one per column of FORM; all 0: the form is not used
    direction: Array | None  # of embeddings; None: they are not used

    def predict(self, requests: Requests) -> Array:
        gains = requests.forms @ self.weights
        return gains if self.direction is None else gains + _vectors_of(requests) @ self.direction


@dataclass(frozen=True)
class Neighbours:
    """The mean gain of the nearest examples; nearer ones weigh more."""

    count: int
    examples: Vectors  # one per row, of length 1
    gains: Array

    def predict(self, requests: Requests) -> Array:
        return _mean_gains(requests, self.examples, self.gains, (self.count,))[self.count]


@dataclass(frozen=True)
class Kinds:
    """The mean gain of the nearest cluster of embeddings."""

    centres: Vectors  # one per row
    gains: Array

    def predict(self, requests: Requests) -> Array:
        import numpy as np

        likeness = _vectors_of(requests) @ self.centres.T
        return self.gains[np.argmax(likeness - (self.centres**2).sum(axis=1) / 2.0, axis=1)]


@dataclass(frozen=True)
class StepPrice:
    """What asking the stronger tier costs more, by the length of the text. In one unit."""

    slope: float  # per character
    middle: float  # characters at which it is `mean`
    mean: float
    least: float  # above 0

    def predict(self, log_lengths: Array) -> Array:
        import numpy as np

        lengths = np.expm1(log_lengths)
        return np.maximum(self.mean + self.slope * (lengths - self.middle), self.least)


@dataclass(frozen=True)
class Ranks:
    """Where a prediction stands among those for the training rows, 0 to 1."""

    values: Array  # increasing
    ranks: Array  # of those values; linear in between

    def of(self, values: Array) -> Array:
        import numpy as np

        return np.interp(values, self.values, self.ranks)


@dataclass(frozen=True)
class Member:
    """A predictor of the ensemble."""

    predictor: str  # its name
    weighed: bool  # the price of the step divides what it predicts
    times: int  # how often it counts in the mean
    ranks: Ranks

    @property
    def name(self) -> str:
        """As a signal of a decision."""
        return f"{self.predictor} per price" if self.weighed else self.predictor


@dataclass(frozen=True)
class GainRouter:
    """The chance that a later tier mends what the first one would answer."""

    predictors: Mapping[str, Predictor]
    members: tuple[Member, ...]
    price: StepPrice | None  # None: unknown
    curve: Combination  # of the signal RANK: the chance that nothing is gained

    @property
    def needs_vectors(self) -> bool:
        return any(_looks_at_vectors(one) for one in self.predictors.values())

    def values(self, requests: Requests) -> dict[str, Array]:
        """Each member's prediction for each request. Raises ValueError without embeddings, if it
        was trained on them.
        """
        near = [one for one in self.predictors.values() if isinstance(one, Neighbours)]
        if near:  # the same examples in each: compared with them once, most of a decision's time
            counts = tuple(one.count for one in near)
            means = _mean_gains(requests, near[0].examples, near[0].gains, counts)
        by_predictor = {
            name: means[one.count] if isinstance(one, Neighbours) else one.predict(requests)
            for name, one in self.predictors.items()
        }
        return {
            one.name: by_predictor[one.predictor]
            / (self.price.predict(requests.log_lengths) if one.weighed and self.price else 1.0)
            for one in self.members
        }

    def ranks(self, values: Mapping[str, Array]) -> Array:
        """The mean rank of the members' predictions: the higher, the more is gained."""
        total = sum(one.times * one.ranks.of(values[one.name]) for one in self.members)
        return total / sum(one.times for one in self.members)

    def signals(self, text: str, vector: Vectors | None) -> dict[str, float]:
        """What a decision about one text is made from. `vector` has one row."""
        import numpy as np

        shape = form(text)
        row = Requests(np.array([[shape[name] for name in FORM]]), vector)
        values = {name: float(value[0]) for name, value in self.values(row).items()}
        return {**shape, **{f"gain by {name}": value for name, value in values.items()}}

    def risk(self, signals: Mapping[str, float]) -> float:
        """0 to 1: the chance of a gain, from the signals of a decision."""
        import numpy as np

        values = {one.name: np.array([signals[f"gain by {one.name}"]]) for one in self.members}
        return 1.0 - self.curve.score({RANK: float(self.ranks(values)[0])})

    def risks(self, requests: Requests) -> list[float]:
        """`risk` of each request."""
        return [
            1.0 - self.curve.score({RANK: float(one)}) for one in self.ranks(self.values(requests))
        ]


def _mean_gains(
    requests: Requests, examples: Vectors, gains: Array, counts: tuple[int, ...]
) -> dict[int, Array]:
    """For each count, the mean gain of so many nearest examples; nearer ones weigh more."""
    import numpy as np

    vectors = _vectors_of(requests)
    means = {count: np.zeros(len(vectors)) for count in counts}
    most = min(max(counts), len(examples))
    for start in range(0, len(vectors), AT_ONCE):
        likeness = _likeness(vectors[start : start + AT_ONCE], examples)
        near = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
        closeness = np.take_along_axis(likeness, near, axis=1)
        nearest_first = np.argsort(-closeness, axis=1)
        near = np.take_along_axis(near, nearest_first, axis=1)
        closeness = np.take_along_axis(closeness, nearest_first, axis=1)
        weights = 1.0 / np.sqrt(np.maximum(2.0 - 2.0 * closeness, LEAST_DISTANCE))
        weighed = weights * gains[near]
        for count in counts:
            mean = weighed[:, :count].sum(axis=1) / weights[:, :count].sum(axis=1)
            means[count][start : start + AT_ONCE] = mean
    return means


def _likeness(vectors: Vectors, examples: Vectors) -> Array:
    """The cosine of each row with each example. Of one row, which a decision asks for, not by BLAS:
    on a busy machine its threads waited for each other for 40 ms, and this takes 0.3 ms.
    """
    import numpy as np

    if len(vectors) == 1:
        return np.einsum("ij,j->i", examples, vectors[0], optimize=False)[None, :]
    return vectors @ examples.T


def _looks_at_vectors(predictor: Predictor) -> bool:
    if isinstance(predictor, Linear):
        return predictor.direction is not None
    return not isinstance(predictor, ByLength)


def _vectors_of(requests: Requests) -> Vectors:
    if requests.vectors is None:
        raise ValueError("this router was trained on embeddings and needs them")
    return requests.vectors
