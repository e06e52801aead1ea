"""Training a router, and measuring it on rows that it was not fitted on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tierline.base.json_text import JSON
from tierline.base.vectors import Vectors
from tierline.routing.learned.gain_router import GainRouter, requests_of
from tierline.routing.learned.gain_training import GainRows, chance_by_length, train_gain
from tierline.routing.learned.trained import quality
from tierline.routing.replay import rankers
from tierline.routing.replay.cross_fit import FOLDS, cross_fitted
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.paired import Difference, apgr, apgr_lead
from tierline.routing.replay.rankers import Ranker, Scorer
from tierline.routing.thresholds.combination import CannotLearn

FEWEST = 50  # rows; fewer cannot be split into folds with both kinds
FEWEST_OF_A_KIND = 10
COIN = 0.5

Recommended = Literal["router", "length", "nothing"]


@dataclass(frozen=True)
class RouterLesson:
    """A router trained on all rows, and the quality of routers trained without the tested rows."""

    router: GainRouter
    quality: dict[str, JSON]


@dataclass(frozen=True)
class LoggedRows:
    """The rows that a router is trained on, one per input."""

    texts: Sequence[str]
    right: Sequence[bool]  # no later tier would mend it
    vectors: Vectors | None = None  # embeddings; None: the router uses only the form
    prices: Sequence[float | None] = ()  # USD that a later tier costs more; empty: unknown
    stands_for: Sequence[float] = ()  # inputs that each row stands for; empty: 1 each

    def weights(self) -> list[float]:
        return list(self.stands_for) or [1.0] * len(self.texts)

    def gain_rows(self) -> GainRows:
        import numpy as np

        prices = list(self.prices) or [None] * len(self.texts)
        return GainRows(
            requests_of(list(self.texts), self.vectors),
            1.0 - np.array(self.right, dtype=float),
            np.array([math.nan if one is None else float(one) for one in prices]),
            np.array(self.weights()),
        )


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
    rows: LoggedRows, max_risk: float, progress: Callable[[int, int], None]
) -> RouterLesson:
    """Train on all rows. Raises CannotLearn.

    `max_risk` is the feature's, for the length that would be recommended instead. `progress` is
    called with the number of finished fits and of all fits.
    """
    texts, right, weights = list(rows.texts), list(rows.right), rows.weights()
    gain_rows = rows.gain_rows()
    rivals: list[tuple[str, Ranker]] = [
        ("TF-IDF", rankers.tfidf(texts, right)),
        ("kNN", rankers.nearest(texts, right, rows.vectors)),
    ]
    of = 1 + FOLDS + len(rivals)
    progress(0, of)
    router = train_gain(gain_rows)
    progress(1, of)
    fits = iter(range(2, of))
    scores = {
        "router": cross_fitted(len(texts), _served(gain_rows, lambda: progress(next(fits), of))),
        "prompt length": [-float(len(text)) for text in texts],
    }
    for place, (name, ranker) in enumerate(rivals, start=1 + FOLDS + 1):
        scores[name] = cross_fitted(len(texts), ranker)
        progress(place, of)
    longest = max(map(len, texts)) or 1
    aurocs = scores | {"prompt length": [1.0 - len(text) / longest for text in texts]}
    measured: dict[str, JSON] = {**quality(right, scores["router"], weights)}
    measured["baselines"] = {"a coin": COIN} | {
        name: quality(right, values, weights)["auroc"]
        for name, values in aurocs.items()
        if name != "router"
    }
    return RouterLesson(
        router,
        measured
        | _gains(right, scores, weights)
        | {
            "longest": chance_by_length(gain_rows, max_risk),
            "members": {one.name: one.times for one in router.members},
        },
    )


def _served(rows: GainRows, done: Callable[[], None]) -> Ranker:
    """The router as it serves: its probability that no later tier would mend the answer."""
    import numpy as np

    def ranker(fitting: Sequence[int]) -> Scorer:
        router = train_gain(rows.of(np.array(fitting)))
        done()
        return lambda indexes: [
            1.0 - risk for risk in router.risks(rows.requests.of(np.array(indexes)))
        ]

    return ranker


def _gains(
    right: Sequence[bool], scores: dict[str, list[float]], weights: Sequence[float]
) -> dict[str, JSON]:
    """The APGR of each, its lead over prompt length and over a coin, and what to use."""
    outcomes = [Outcome(float(good), 1.0, 0.0, 1.0) for good in right]
    length = scores["prompt length"]
    over_length = {
        name: apgr_lead(outcomes, values, length, weights) for name, values in scores.items()
    }
    over_coin = {
        name: apgr_lead(outcomes, values, None, weights) for name, values in scores.items()
    }
    return {
        "apgr": {"a coin": COIN}
        | {name: apgr(outcomes, values, weights) for name, values in scores.items()},
        "over_length": {name: dict(vars(one)) for name, one in over_length.items()},
        "over_coin": {name: dict(vars(one)) for name, one in over_coin.items()},
        "recommended": recommended(
            over_length["router"], over_coin["router"], over_coin["prompt length"]
        ),
    }


def recommended(
    over_length: Difference, over_coin: Difference, length_over_coin: Difference
) -> Recommended:
    """What to route by: the router if it is better than prompt length and than a coin, else the
    length if that is better than a coin. Decided by the lower bounds of the 95% intervals.
    """
    if over_length.low > 0 and over_coin.low > 0:
        return "router"
    return "length" if length_over_coin.low > 0 else "nothing"
