"""How much better a router is than prompt length and than a coin, on the same requests.

The intervals are paired: both routers decide about the same requests, so only those on which they
differ count. They hold for routers that were fitted on other requests (95%, normal approximation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierline.routing.replay.curves import Outcome

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Z = 1.96

Weights = Sequence[float]


@dataclass(frozen=True)
class Difference:
    """A difference of mean quality, or of APGR, with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LeadAtRate:
    """A router beside the two that it has to beat, at one share sent to the frontier."""

    rate: float
    length: Difference
    random: Difference


def leads_at_rates(
    outcomes: Sequence[Outcome],
    scores: Sequence[float],
    lengths: Sequence[float],
    rates: Sequence[float] = RATES,
) -> list[LeadAtRate]:
    """For each rate, how much more quality a router has than the others. `scores`: higher stays on
    the weak tier. `lengths`: of the prompts; the longest escalate first.
    """
    import numpy as np

    gains = _gains(outcomes)
    ours, theirs = _places(scores), _places([-length for length in lengths])
    compared = []
    for rate in rates:
        most = round(rate * len(gains))
        up, other = (ours < most).astype(float), (theirs < most).astype(float)
        share = most / len(gains)
        compared.append(
            LeadAtRate(rate, _difference((up - other) * gains), _difference((up - share) * gains))
        )
    assert all(np.isfinite(one.length.mean) for one in compared)
    return compared


def apgr(
    outcomes: Sequence[Outcome], scores: Sequence[float], weights: Weights | None = None
) -> float:
    """The average performance gap recovered: the share of the strong tier's lead that a router
    keeps, on average over all shares of requests sent there (Ong et al. 2024, "RouteLLM"). A coin
    has 0.5. `weights` says how many requests each outcome stands for; None: 1 each.
    """
    gains, weighed = _gains(outcomes), _weighed(outcomes, weights)
    return float(
        (gains * weighed * _escalated_share(scores, weighed)).mean() / (gains * weighed).mean()
    )


def apgr_lead(
    outcomes: Sequence[Outcome],
    scores: Sequence[float],
    others: Sequence[float] | None,
    weights: Weights | None = None,
) -> Difference:
    """How much higher the APGR of `scores` is than that of `others`; None: than that of a coin."""
    gains, weighed = _gains(outcomes), _weighed(outcomes, weights)
    theirs = 0.5 if others is None else _escalated_share(others, weighed)
    difference = _difference(gains * weighed * (_escalated_share(scores, weighed) - theirs))
    lead = float((gains * weighed).mean())
    low, high = sorted((difference.low / lead, difference.high / lead))
    return Difference(difference.mean / lead, low, high)


def _gains(outcomes: Sequence[Outcome]) -> Any:
    import numpy as np

    return np.array([one.strong_quality - one.weak_quality for one in outcomes])


def _weighed(outcomes: Sequence[Outcome], weights: Weights | None) -> Any:
    import numpy as np

    return np.ones(len(outcomes)) if weights is None else np.asarray(weights, dtype=float)


def _places(scores: Sequence[float]) -> Any:
    """Each request's place in the order of escalation, from 0."""
    import numpy as np

    places = np.empty(len(scores), dtype=int)
    places[np.argsort(np.asarray(scores), kind="stable")] = np.arange(len(scores))
    return places


def _escalated_share(scores: Sequence[float], weights: Any) -> Any:
    """The share of all rates at which each request is escalated."""
    import numpy as np

    order = np.argsort(np.asarray(scores), kind="stable")
    before = np.empty(len(scores))
    before[order] = weights[order].cumsum() - weights[order] / 2.0
    return 1.0 - before / weights.sum()


def _difference(values: Any) -> Difference:
    mean = float(values.mean())
    off = Z * float(values.std()) / max(len(values), 1) ** 0.5
    return Difference(mean, mean - off, mean + off)
