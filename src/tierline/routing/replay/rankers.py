"""Scores that a router can decide by: its own two, and the simple ones that they must beat.

Each is fitted on outcomes whose truth is known, and then scores others. Both are given by index.
"""

from collections.abc import Callable, Mapping, Sequence

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
    glances: Sequence[Mapping[str, float]],
    right: Sequence[bool],
    embeddings: Vectors | None,
    most_examples: int = MOST_EXAMPLES,
) -> Ranker:
    """The router that uses only the request, not the answer."""

    def vectors(indexes: Sequence[int]) -> Vectors | None:
        return None if embeddings is None else embeddings[list(indexes)]

    def ranker(fitting: Sequence[int]) -> Scorer:
        router = train(
            [glances[index] for index in fitting],
            [right[index] for index in fitting],
            vectors(fitting),
            most_examples,
        )
        return lambda asked: router.scores([glances[index] for index in asked], vectors(asked))

    return ranker


def tfidf(prompts: Sequence[str], right: Sequence[bool]) -> Ranker:
    """Logistic regression on the weights of words and of pairs of words."""

    def ranker(fitting: Sequence[int]) -> Scorer:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        truth = [right[index] for index in fitting]
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        try:
            seen = words.fit_transform([prompts[index] for index in fitting])
        except ValueError:  # no word occurs in two prompts
            return _unsure
        if len(set(truth)) < 2:
            return _unsure
        model = LogisticRegression(C=3.0, max_iter=1000).fit(seen, truth)

        def score(indexes: Sequence[int]) -> list[float]:
            new = words.transform([prompts[index] for index in indexes])
            return [float(chance) for chance in model.predict_proba(new)[:, 1]]

        return score

    return ranker


def nearest(prompts: Sequence[str], right: Sequence[bool], embeddings: Vectors | None) -> Ranker:
    """The share of the nearest prompts that were answered right; nearer ones weigh more.

    Nearest by embedding, or by words if there are no embeddings.
    """

    def ranker(fitting: Sequence[int]) -> Scorer:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.neighbors import KNeighborsRegressor

        near = KNeighborsRegressor(min(NEIGHBOURS, len(fitting)), weights="distance")
        truth = [float(right[index]) for index in fitting]
        if embeddings is not None:
            near.fit(embeddings[list(fitting)], truth)
            return lambda indexes: [
                float(share) for share in near.predict(embeddings[list(indexes)])
            ]
        words = TfidfVectorizer(sublinear_tf=True)
        try:
            near.fit(words.fit_transform([prompts[index] for index in fitting]), truth)
        except ValueError:  # no prompt has a word
            return _unsure

        def score(indexes: Sequence[int]) -> list[float]:
            new = words.transform([prompts[index] for index in indexes])
            return [float(share) for share in near.predict(new)]

        return score

    return ranker


def _unsure(indexes: Sequence[int]) -> list[float]:
    return [UNSURE] * len(indexes)
