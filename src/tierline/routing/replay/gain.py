"""The router that `tierline router train` makes, as a ranker of recorded requests."""

from collections.abc import Sequence

from tierline.base.vectors import Vectors
from tierline.routing.learned.gain_router import requests_of
from tierline.routing.learned.gain_training import GainRows, train_gain
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.rankers import Ranker, Scorer


def gain(prompts: Sequence[str], outcomes: Sequence[Outcome], embeddings: Vectors | None) -> Ranker:
    """A ranker of requests by what the weak tier keeps: the smaller the gain for its price, the
    higher the score.
    """
    import numpy as np

    rows = recorded_rows(prompts, outcomes, embeddings)

    def ranker(fitting: Sequence[int]) -> Scorer:
        router = train_gain(rows.of(np.array(fitting)))

        def score(indexes: Sequence[int]) -> list[float]:
            requests = rows.requests.of(np.array(indexes))
            return [-float(one) for one in router.ranks(router.values(requests))]

        return score

    return ranker


def recorded_rows(
    prompts: Sequence[str], outcomes: Sequence[Outcome], embeddings: Vectors | None
) -> GainRows:
    """The rows that a router is trained on, from recorded outcomes."""
    import numpy as np

    return GainRows(
        requests_of(list(prompts), embeddings),
        np.array([one.strong_quality - one.weak_quality for one in outcomes]),
        np.array([one.strong_cost - one.weak_cost for one in outcomes]),
        np.ones(len(outcomes)),
    )
