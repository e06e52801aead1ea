"""Scores by which a router decides: its own two, and the simple ones that it has to beat.

Each is made from outcomes whose truth is known, and scores others of them, named by their index.
"""

from collections.abc import Callable, Mapping, Sequence

from tierline.routing.combination import Signals, fit
from tierline.routing.complexity import Complexity, train
from tierline.vectors import Vectors

Ranker = Callable[[Sequence[int], Sequence[int]], list[float]]
"""Scores, higher is surer, for the outcomes of the second list, fitted on those of the first."""

NEIGHBOURS = 20
UNSURE = 0.5  # where there was nothing to learn from


def confidence(signals: Sequence[Signals], right: Sequence[bool]) -> Ranker:
    """The learned combination of an answer's signals."""

    def rank(fitting: Sequence[int], asked: Sequence[int]) -> list[float]:
        combined = fit([signals[index] for index in fitting], [right[index] for index in fitting])
        return [combined.score(signals[index]) for index in asked]

    return rank


def complexity(
    glances: Sequence[Mapping[str, float]],
    right: Sequence[bool],
    embeddings: Vectors | None,
) -> Ranker:
    """The router that looks at the request alone. What it learned from an equal list is kept."""
    known: dict[tuple[int, ...], Complexity] = {}

    def rank(fitting: Sequence[int], asked: Sequence[int]) -> list[float]:
        key = tuple(fitting)
        if key not in known:
            vectors = None if embeddings is None else embeddings[list(fitting)]
            known[key] = train([glances[i] for i in fitting], [right[i] for i in fitting], vectors)
        vectors = None if embeddings is None else embeddings[list(asked)]
        return known[key].scores([glances[index] for index in asked], vectors)

    return rank


def tfidf(prompts: Sequence[str], right: Sequence[bool]) -> Ranker:
    """Logistic regression on the weights of words and of pairs of words."""

    def rank(fitting: Sequence[int], asked: Sequence[int]) -> list[float]:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        truth = [right[index] for index in fitting]
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        try:
            seen = words.fit_transform([prompts[index] for index in fitting])
        except ValueError:  # no word stands in two prompts
            return [UNSURE] * len(asked)
        if len(set(truth)) < 2:
            return [UNSURE] * len(asked)
        model = LogisticRegression(C=3.0, max_iter=1000).fit(seen, truth)
        new = words.transform([prompts[index] for index in asked])
        return [float(score) for score in model.predict_proba(new)[:, 1]]

    return rank


def nearest(
    prompts: Sequence[str],
    right: Sequence[bool],
    embeddings: Vectors | None,
) -> Ranker:
    """The share of the nearest prompts that were answered right, nearer ones counting more.

    Nearest by embedding; by words where there is none.
    """

    def rank(fitting: Sequence[int], asked: Sequence[int]) -> list[float]:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.neighbors import KNeighborsRegressor

        near = KNeighborsRegressor(min(NEIGHBOURS, len(fitting)), weights="distance")
        truth = [float(right[index]) for index in fitting]
        if embeddings is not None:
            near.fit(embeddings[list(fitting)], truth)
            return [float(score) for score in near.predict(embeddings[list(asked)])]
        words = TfidfVectorizer(sublinear_tf=True)
        try:
            near.fit(words.fit_transform([prompts[index] for index in fitting]), truth)
        except ValueError:  # no prompt has a word
            return [UNSURE] * len(asked)
        new = words.transform([prompts[index] for index in asked])
        return [float(score) for score in near.predict(new)]

    return rank
