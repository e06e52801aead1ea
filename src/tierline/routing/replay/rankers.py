"""Scores that a router can decide by: its own two, and the simple ones that they must beat.

Each is fitted on outcomes whose truth is known, and then scores others. Both are given by index.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import MOST_EXAMPLES, train
from tierline.routing.thresholds.combination import Signals, fit

Scorer = Callable[[Sequence[int]], list[float]]
"""Scores for the given outcomes; higher is more confident."""

Ranker = Callable[[Sequence[int]], Scorer]
"""Returns a scorer that is fitted on the given outcomes."""

NEIGHBOURS = 20
UNSURE = 0.5  # the score if there was nothing to learn from


def confidence(signals: Sequence[Signals], right: Sequence[bool]) -> Ranker:
    """The learned combination of an answer's signals."""

    def ranker(fitting: Sequence[int]) -> Scorer:
        combined = fit([signals[index] for index in fitting], [right[index] for index in fitting])
        return lambda indexes: [combined.score(signals[index]) for index in indexes]

    return ranker


def complexity(
    signals: Sequence[Mapping[str, float]],
    right: Sequence[bool],
    embeddings: Vectors | None,
    most_examples: int = MOST_EXAMPLES,
) -> Ranker:
    """The router that uses only the request, not the answer."""

    def vectors(indexes: Sequence[int]) -> Vectors | None:
        return None if embeddings is None else embeddings[list(indexes)]

    def ranker(fitting: Sequence[int]) -> Scorer:
        router = train(
            [signals[index] for index in fitting],
            [right[index] for index in fitting],
            vectors(fitting),
            most_examples,
        )
        return lambda indexes: router.scores(
            [signals[index] for index in indexes], vectors(indexes)
        )

    return ranker


def tfidf(prompts: Sequence[str], right: Sequence[bool]) -> Ranker:
    """Logistic regression on the weights of words and of pairs of words."""

    counted = _Words(prompts, (1, 2), min_df=2)

    def ranker(fitting: Sequence[int]) -> Scorer:
        from sklearn.linear_model import LogisticRegression

        truth = [right[index] for index in fitting]
        weigh = counted.weights_from(fitting)
        if weigh is None or len(set(truth)) < 2:
            return _unsure
        model = LogisticRegression(C=3.0, max_iter=1000).fit(weigh(fitting), truth)
        return lambda indexes: model.predict_proba(weigh(indexes))[:, 1].tolist()

    return ranker


def nearest(prompts: Sequence[str], right: Sequence[bool], embeddings: Vectors | None) -> Ranker:
    """The share of the nearest prompts that were answered right; nearer ones weigh more.

    Nearest by embedding, or by words if there are no embeddings.
    """

    counted = _Words(prompts, (1, 1), min_df=1) if embeddings is None else None

    def ranker(fitting: Sequence[int]) -> Scorer:
        from sklearn.neighbors import KNeighborsRegressor

        near = KNeighborsRegressor(min(NEIGHBOURS, len(fitting)), weights="distance")
        truth = [float(right[index]) for index in fitting]
        place: Callable[[Sequence[int]], Any] | None
        if embeddings is not None:
            place = lambda indexes: embeddings[list(indexes)]  # noqa: E731
        else:
            assert counted is not None, "there are words if there are no embeddings"
            place = counted.weights_from(fitting)
        if place is None:
            return _unsure
        near.fit(place(fitting), truth)
        return lambda indexes: near.predict(place(indexes)).tolist()

    return ranker


class _Words:
    """The words of all prompts, counted once; their weights depend on the fitted prompts alone.

    The result is that of scikit-learn's TfidfVectorizer fitted on those prompts.
    """

    def __init__(self, prompts: Sequence[str], ngrams: tuple[int, int], min_df: int) -> None:
        self._prompts = prompts
        self._ngrams = ngrams
        self._min_df = min_df  # prompts that a word must occur in

    @cached_property
    def _counts(self) -> Any:
        """A sparse row per prompt; None if no prompt has a word."""
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer

        try:
            counts = CountVectorizer(ngram_range=self._ngrams, dtype=np.float32).fit_transform(
                self._prompts
            )
        except ValueError:  # "empty vocabulary"
            return None
        often = np.asarray((counts > 0).sum(axis=0)).ravel() >= self._min_df
        return counts.tocsc()[:, often].tocsr()  # rarer words are never used

    def weights_from(self, fitting: Sequence[int]) -> Callable[[Sequence[int]], Any] | None:
        """A function that gives the weights of prompts; None if the fitted ones have no word."""
        import numpy as np
        from sklearn.feature_extraction.text import TfidfTransformer

        if self._counts is None:
            return None
        fitted = self._counts[list(fitting)]
        often = np.asarray((fitted > 0).sum(axis=0)).ravel() >= self._min_df
        if not often.any():
            return None
        columns = np.flatnonzero(often)
        weights = TfidfTransformer(sublinear_tf=True).fit(fitted[:, columns])
        return lambda indexes: weights.transform(self._counts[list(indexes)][:, columns])


def _unsure(indexes: Sequence[int]) -> list[float]:
    return [UNSURE] * len(indexes)
