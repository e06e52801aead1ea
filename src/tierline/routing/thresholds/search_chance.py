"""How likely a threshold search is to find a promise, before it spends any outcome.

The chance is simulated from outcomes that the search does not test: those that the scores are
fitted on. It is an estimate: from few outcomes it is rough, and it gets better as more arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.routing.thresholds.many_searches import NONE, Array, search_each
from tierline.routing.thresholds.threshold_search import Scored, grid

TARGET_CHANCE = 0.9
SIMULATIONS = 1_000  # simulated searches: a chance of 90% is found within about 2%
FEWEST_FITTED = 20  # with fewer outcomes to simulate from, the chance is unknown
MOST_TESTED = 50_000
PRIOR = 10.0  # outcomes that the smooth curve counts as, against those with about the same score
PSEUDO = 0.1  # right and wrong outcomes added, so that no error rate is estimated as 0
PENALTY = 30.0  # inverse strength: a strong signal has a steep curve
SEED = 20


@dataclass(frozen=True)
class Chances:
    """What is known, before a search, about its success."""

    now: float  # the chance that a search on the present outcomes finds a promise
    tested: int | None  # tested outcomes with which that chance is TARGET_CHANCE; None: too many


def chances(
    fitted: Sequence[Scored], tested: int, max_error: float, confidence: float
) -> Chances | None:
    """The chance of a search that tests `tested` outcomes, and how many would be enough.

    `fitted`: other outcomes of the same kind, with their scores. None if they are too few. Raises
    ValueError for a bad rate.
    """
    if len(fitted) < FEWEST_FITTED:
        return None
    simulations = _Simulations(fitted, max_error, confidence)
    low, high = 0, 64
    while simulations.chance(high) < TARGET_CHANCE:
        low, high = high, high * 2
        if high > MOST_TESTED:
            return Chances(simulations.chance(tested), None)
    while high - low > max(1, low // 50):  # within 2%: the simulation is not more exact
        middle = (low + high) // 2
        low, high = (low, middle) if simulations.chance(middle) >= TARGET_CHANCE else (middle, high)
    return Chances(simulations.chance(tested), high)


class _Simulations:
    """Simulated searches on outcomes like the fitted ones."""

    def __init__(self, fitted: Sequence[Scored], max_error: float, confidence: float) -> None:
        import numpy as np

        self.max_error, self.confidence = max_error, confidence
        thresholds = np.array(grid([one.score for one in fitted]))
        scores = np.array([one.score for one in fitted])
        wrong = np.array([one.wrong for one in fitted], dtype=float)
        # The cell of a score: the strictest threshold that serves it.
        cells = (scores[:, None] >= thresholds[None, :]).argmax(axis=1)
        outcomes = np.bincount(cells, minlength=len(thresholds)).astype(float)
        errors = np.bincount(cells, weights=wrong, minlength=len(thresholds))
        smooth = _smooth(scores, wrong)
        curve = np.bincount(cells, weights=smooth, minlength=len(thresholds))
        curve = np.divide(curve, outcomes, out=np.full(len(curve), 0.5), where=outcomes > 0)
        self.fitted = (outcomes.cumsum()[None, :], errors.cumsum()[None, :])
        self.shares = outcomes / outcomes.sum()
        self.rates = (errors + PRIOR * curve) / (outcomes + PRIOR)

    def chance(self, tested: int) -> float:
        """The share of searches on so many outcomes that find a promise."""
        import numpy as np

        if tested < 1:
            return 0.0
        draw = np.random.default_rng(SEED)
        outcomes = draw.multinomial(tested, self.shares, SIMULATIONS)
        errors = draw.binomial(outcomes, self.rates)
        served = outcomes.cumsum(axis=1)
        wrong = errors.cumsum(axis=1)
        chosen = search_each(served, wrong, self.max_error, self.confidence, self.fitted)
        return float((chosen != NONE).mean())


def _smooth(scores: Array, wrong: Array) -> Array:
    """The chance that each answer is wrong, by a logistic curve over its score."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    inside = np.clip(scores, 1e-6, 1.0 - 1e-6)
    odds = np.log(inside / (1.0 - inside))
    z = ((odds - odds.mean()) / (odds.std() or 1.0))[:, None]
    seen = np.vstack([z, [[0.0], [0.0]]])
    outcome = np.concatenate([wrong, [0.0, 1.0]])
    weights = np.concatenate([np.ones(len(wrong)), [PSEUDO, PSEUDO]])
    model = LogisticRegression(C=PENALTY).fit(seen, outcome, sample_weight=weights)
    return model.predict_proba(z)[:, 1]
