"""Training a complexity router, and measuring it on rows that it was not fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON
from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import Complexity, text_signals, train
from tierline.routing.learned.trained import quality
from tierline.routing.replay import rankers
from tierline.routing.replay.rankers import Ranker
from tierline.routing.replay.replay import cross_fitted
from tierline.routing.thresholds.combination import CannotLearn

FEWEST = 50  # rows; fewer cannot be split into folds with both kinds
FEWEST_OF_A_KIND = 10
MOST_EXAMPLES = 800  # embeddings that a router stores: each worker reads them, 0.8 kB each


@dataclass(frozen=True)
class RouterLesson:
    """A router trained on all rows, and the quality of routers trained without the tested rows."""

    router: Complexity
    quality: dict[str, JSON]


def refuse_too_few(feature: str, right: Sequence[bool]) -> None:
    """Raises CannotLearn for rows that no router can be trained on."""
    good = sum(right)
    if len(right) < FEWEST:
        raise CannotLearn(
            f"{len(right)} inputs of {feature} are labelled, and "
            f"{FEWEST - len(right)} more are needed"
        )
    for count, how in ((good, "well"), (len(right) - good, "badly")):
        if count < FEWEST_OF_A_KIND:
            raise CannotLearn(
                f"the first tier handled {count} of {len(right)} inputs {how}, and "
                f"{FEWEST_OF_A_KIND - count} more such are needed"
            )


def learn_router(
    texts: Sequence[str],
    right: Sequence[bool],
    vectors: Vectors | None,
    progress: Callable[[int, int], None],
) -> RouterLesson:
    """Train on all rows. Raises CannotLearn.

    `vectors` are the texts' embeddings; None: the router uses only their form. `progress` is called
    with the number of finished fits and of all fits.
    """
    signals = [text_signals(text) for text in texts]
    longest = max(map(len, texts)) or 1
    rivals: list[tuple[str, Ranker]] = [
        ("TF-IDF", rankers.tfidf(texts, right)),
        ("kNN", rankers.nearest(texts, right, vectors)),
    ]
    of = len(rivals) + 2
    progress(0, of)
    router = train(signals, right, vectors, MOST_EXAMPLES)
    progress(1, of)
    ours = rankers.complexity(signals, right, vectors, MOST_EXAMPLES)
    measured: dict[str, JSON] = {**quality(right, cross_fitted(len(texts), ours))}
    progress(2, of)
    baselines: dict[str, JSON] = {
        "a coin": 0.5,
        "prompt length": quality(right, [1.0 - len(text) / longest for text in texts])["auroc"],
    }
    for place, (name, ranker) in enumerate(rivals):
        baselines[name] = quality(right, cross_fitted(len(texts), ranker))["auroc"]
        progress(place + 3, of)
    return RouterLesson(router, measured | {"baselines": baselines})
