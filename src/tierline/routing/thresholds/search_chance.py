"""How likely a threshold search is to find a promise, before it spends any outcome.

The chance is simulated from outcomes that the search does not test: those that the scores are
fitted on. It is an estimate: from few outcomes it is rough, and it gets better as more arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.routing.thresholds.many_searches import NONE, Array, search_each
from tierline.routing.thresholds.threshold_search import Scored, grid

TARGET_CHANCE = 0.9
WORLDS = 250  # error rates that the fitted outcomes may come from, drawn by Bayesian bootstrap
UNSEEN = 0.5  # wrong answers that each world has besides, on average: the prior of Jeffreys
BLOCK = 4  # searches in each, so 1,000: a chance of 90% is found within about 2%
NEWTON_STEPS = 25
FEWEST_FITTED = 20  # with fewer outcomes to simulate from, the chance is unknown
MOST_TESTED = 50_000
MOST_GROUPS = 1_000
"""Answers with about the same score are drawn together if there are more than this many: time and
memory of a simulation then stay the same, and the error rates change by less than their error."""
PRIOR = 10.0  # outcomes that the smooth curve counts as, against those with about the same score
PSEUDO = 0.1  # right and wrong outcomes added, so that no error rate is estimated as 0
PENALTY = 30.0  # inverse strength: a strong signal has a steep curve
SEED = 20


@dataclass(frozen=True)
class Chances:
    """What is known, before a search, about its success."""

    now: float  # the chance that a search on the present outcomes finds a promise
    tested: int | None  # tested outcomes with which that chance is TARGET_CHANCE; None: too many,
    # or too few are known to say


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
    """Simulated searches on outcomes like the fitted ones.

    The fitted outcomes are a sample. So each block of searches is of another world: the outcomes
    with random weights, and a wrong answer besides, anywhere among the scores. Otherwise few
    outcomes, which show no error by chance, would promise too much.
    """

    def __init__(self, fitted: Sequence[Scored], max_error: float, confidence: float) -> None:
        import numpy as np

        self.max_error, self.confidence = max_error, confidence
        thresholds = np.array(grid([one.score for one in fitted]))
        groups = _grouped(fitted, thresholds)
        in_cell = np.eye(len(thresholds))[groups.cells]
        draw = np.random.default_rng(SEED)
        count = len(fitted)
        # The weights of answers are exponential, so that their sum in a group is of a gamma law.
        wrong_times = draw.standard_gamma(groups.wrong, (WORLDS, len(groups.wrong)))
        times = wrong_times + draw.standard_gamma(groups.right, wrong_times.shape)
        total = times.sum(axis=1, keepdims=True) / count
        sizes = groups.wrong + groups.right
        places = draw.choice(len(sizes), WORLDS, p=sizes / count)
        unseen = np.zeros(times.shape)
        unseen[np.arange(WORLDS), places] = draw.gamma(UNSEEN, 1.0, WORLDS)
        wrong_times = wrong_times / total + unseen
        times = times / total + unseen
        outcomes = times @ in_cell
        errors = wrong_times @ in_cell
        curve = (times * _smooth(groups.scores, wrong_times, times)) @ in_cell
        curve = np.divide(curve, outcomes, out=np.full(curve.shape, 0.5), where=outcomes > 0)
        self.fitted = (
            (sizes @ in_cell).cumsum()[None, :],
            (groups.wrong @ in_cell).cumsum()[None, :],
        )
        self.shares = (outcomes / outcomes.sum(axis=1, keepdims=True)).repeat(BLOCK, axis=0)
        self.rates = ((errors + PRIOR * curve) / (outcomes + PRIOR)).repeat(BLOCK, axis=0)

    def chance(self, tested: int) -> float:
        """The share of searches on so many outcomes that find a promise."""
        import numpy as np

        if tested < 1:
            return 0.0
        draw = np.random.default_rng(SEED)
        outcomes = draw.multinomial(tested, self.shares)
        errors = draw.binomial(outcomes, self.rates)
        served = outcomes.cumsum(axis=1)
        wrong = errors.cumsum(axis=1)
        chosen = search_each(served, wrong, self.max_error, self.confidence, self.fitted)
        return float((chosen != NONE).mean())


@dataclass(frozen=True)
class _Groups:
    """Fitted answers with about the same score. Each array has one number per group."""

    scores: Array  # the mean
    cells: Array  # the index of the strictest threshold that serves them
    right: Array  # answers
    wrong: Array


def _grouped(fitted: Sequence[Scored], thresholds: Array) -> _Groups:
    """One group for each answer, or about MOST_GROUPS of neighbours. A group is within one cell."""
    import numpy as np

    ordered = sorted(fitted, key=lambda one: one.score)
    scores = np.array([one.score for one in ordered])
    wrong = np.array([one.wrong for one in ordered], dtype=float)
    cells = (scores[:, None] >= thresholds[None, :]).argmax(axis=1)
    together = -(-len(ordered) // MOST_GROUPS)
    blocks = np.arange(len(ordered)) // together
    new = np.flatnonzero((np.diff(blocks, prepend=-1) != 0) | (np.diff(cells, prepend=-1) != 0))
    sizes = np.diff(new, append=len(ordered))
    wrongs = np.add.reduceat(wrong, new)
    return _Groups(np.add.reduceat(scores, new) / sizes, cells[new], sizes - wrongs, wrongs)


def _smooth(scores: Array, wrong: Array, times: Array) -> Array:
    """The chance that each answer is wrong, by a logistic curve over its score, in each world.

    `times`, `wrong`: worlds x answers, how often a world has each answer, and has it wrong. By
    Newton's method, for all worlds at once.
    """
    import numpy as np

    inside = np.clip(scores, 1e-6, 1.0 - 1e-6)
    odds = np.log(inside / (1.0 - inside))
    z = np.append((odds - odds.mean()) / (odds.std() or 1.0), [0.0, 0.0])
    pseudo = np.full((len(times), 2), PSEUDO)
    weights = np.hstack([times, pseudo])
    errors = np.hstack([wrong, pseudo * [0.0, 1.0]])
    level, slope = np.zeros((len(times), 1)), np.zeros((len(times), 1))
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-(level + slope * z)))
        off = weights * chance - errors
        bend = weights * np.maximum(chance * (1.0 - chance), 1e-6)
        down = (off.sum(axis=1, keepdims=True), off @ z[:, None] + slope / PENALTY)
        aa, ab = bend.sum(axis=1, keepdims=True), bend @ z[:, None]
        bb = bend @ (z * z)[:, None] + 1.0 / PENALTY
        size = aa * bb - ab * ab
        # Steps are bounded, since the first ones overshoot where few answers are wrong.
        level = level - np.clip((bb * down[0] - ab * down[1]) / size, -1.0, 1.0)
        slope = slope - np.clip((aa * down[1] - ab * down[0]) / size, -1.0, 1.0)
    return (1.0 / (1.0 + np.exp(-(level + slope * z))))[:, :-2]
