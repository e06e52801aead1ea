"""Replays recorded outcomes of both tiers through the routing that serves, without any model.

Everything is cross-fitted: the outcomes are split into folds. The decisions about a fold are fitted
on one half of the other folds and calibrated on the other half.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals
from tierline.routing.replay import rankers
from tierline.routing.replay.curves import Outcome, Point, area, cost_of_quality, curve, point
from tierline.routing.replay.gain import gain
from tierline.routing.replay.paired import Beside, Difference, apgr, apgr_beside, beside
from tierline.routing.replay.rankers import Ranker, Scorer
from tierline.routing.thresholds.bounds import interval
from tierline.routing.thresholds.combination import CannotLearn, Signals
from tierline.routing.thresholds.threshold_search import Calibrated, Scored, grid, search_threshold

FOLDS = 5
KEPT = (0.95, 0.99)  # shares of the strong tier's quality whose cost the table shows
HALF = 0.5  # the share sent to the strong tier in the table if nothing says another
ROUTER_EXAMPLES = 800  # embeddings that `complexity` looks at

Progress = Callable[[int, int], None]
"""Is called with the number of finished fits and of all fits."""


def _silent(done: int, of: int) -> None:
    """Progress that nobody sees."""


@dataclass(frozen=True)
class Recorded:
    """One request and the results of both tiers."""

    id: str
    prompt: str
    outcome: Outcome
    wrong: bool  # whether the weak answer is wrong, by the measure of the promise
    signals: Signals = field(default_factory=dict)  # of the weak answer


@dataclass(frozen=True)
class Served:
    """The results of a promise on outcomes that it was not chosen on."""

    served: int
    errors: int
    thresholds: tuple[float | None, ...]  # one per fold; None: nothing could be promised there
    missing: int | None  # answers that the worst fold would need more; None: no fold lacks any
    cost: float  # per request, if the requests that it does not serve go to the strong tier

    def error_interval(self, confidence: float) -> tuple[float, float] | None:
        """Both bounds of the error rate among what is served; None if nothing is."""
        return interval(self.errors, self.served, confidence) if self.served else None


@dataclass(frozen=True)
class Policy:
    """One way to route, and its results on the recorded outcomes."""

    name: str
    at: Point  # at the table's share
    quality_interval: tuple[float, float]
    area: float  # mean quality over all costs between those of the two tiers
    curve: tuple[Point, ...]
    cost_for: tuple[float, ...]
    """The least cost of each share of quality in `Replay.kept`; infinite: it never has that."""
    promised: Served | None = None  # only for policies that can promise
    paired: "Paired | None" = None  # only for policies that rank requests


@dataclass(frozen=True)
class Paired:
    """A policy beside prompt length and a coin, on the same requests."""

    apgr: float  # 0.5: a coin
    over_length: Difference  # of that
    rates: tuple[Beside, ...]  # at each share of requests sent to the strong tier


@dataclass(frozen=True)
class Replay:
    """The table: every policy at the same share of requests sent to the frontier."""

    count: int
    escalated: float  # that share
    escalated_by: Literal["promise", "caller", "default"]  # what set it; "promise": `main`'s
    main: str | None  # the policy that keeps the promise at the least cost; None: none keeps it
    kept: tuple[float, ...]  # shares of the strong tier's quality
    policies: tuple[Policy, ...]
    weak_only: Point
    strong_only: Point


def replay(
    recorded: Sequence[Recorded],
    *,
    max_error: float,
    confidence: float,
    embeddings: Vectors | None = None,
    share: float | None = None,
    kept: Sequence[float] = KEPT,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Progress = _silent,
) -> Replay:
    """Compare all policies, at the `share` of requests sent to the strong tier; None: the share
    with which the cheapest policy keeps the promise. Raises CannotLearn if the weak tier is always
    right or always wrong, ValueError if the strong tier does not cost more than the weak one.
    """
    outcomes = [one.outcome for one in recorded]
    right = [not one.wrong for one in recorded]
    if len(set(right)) < 2:
        kind = "right" if right and right[0] else "wrong"
        raise CannotLearn(f"every weak answer is {kind}, so nothing can be learned for routing")
    count = len(recorded)
    weak_only = point(outcomes, [False] * count, cascade=False)
    strong_only = point(outcomes, [True] * count, cascade=False)
    area([], weak_only, strong_only)  # raises before the fits if nothing can be saved
    prompts = [one.prompt for one in recorded]
    glances = [text_signals(prompt) for prompt in prompts]
    ours: dict[str, Ranker] = {}
    if any(value is not None for one in recorded for value in one.signals.values()):
        ours["confidence"] = rankers.confidence([one.signals for one in recorded], right)
    ours["complexity"] = rankers.complexity(glances, right, embeddings, ROUTER_EXAMPLES)
    rivals = {
        "gain": gain(prompts, outcomes, embeddings),
        "TF-IDF": rankers.tfidf(prompts, right),
        "kNN": rankers.nearest(prompts, right, embeddings),
    }
    steps = _Steps(progress, folds * (2 * len(ours) + len(rivals)))
    cut = _Cut(count, folds, seed, steps)
    with _one_thread():
        promised = {
            name: _promise(
                cut, ranker, outcomes, right, max_error, confidence, name == "confidence"
            )
            for name, ranker in ours.items()
        }
        pooled = {name: cut.cross_fitted(ranker) for name, ranker in ours.items()}
        pooled["prompt length"] = [-float(len(prompt)) for prompt in prompts]
        pooled |= {name: cut.cross_fitted(ranker) for name, ranker in rivals.items()}
    pooled["oracle"] = [one.weak_quality - one.strong_quality for one in outcomes]

    main = cheapest(promised)
    escalated_by: Literal["promise", "caller", "default"] = "promise"
    if share is not None:
        escalated, escalated_by = share, "caller"
    elif main is not None:
        escalated = 1.0 - promised[main].served / count
    else:
        escalated, escalated_by = HALF, "default"
    shares = tuple(kept)
    ends = _Ends(weak_only, strong_only, shares)
    policies = [
        _fixed("weak only", outcomes, [False] * count, ends),
        _fixed("strong only", outcomes, [True] * count, ends),
        _random(outcomes, escalated, ends),
    ]
    for name, scores in pooled.items():
        policies.append(
            _ranked(
                name,
                outcomes,
                scores,
                escalated,
                ends,
                cascade=name == "confidence",
                promised=promised.get(name),
                lengths=[float(len(prompt)) for prompt in prompts],
            )
        )
    return Replay(
        *(count, escalated, escalated_by, main, shares, tuple(policies), weak_only, strong_only)
    )


def cheapest(promised: Mapping[str, Served]) -> str | None:
    """The policy that keeps its promise at the least cost; None: none serves anything."""
    keeping = [name for name, one in promised.items() if one.served]
    return min(keeping, key=lambda name: promised[name].cost, default=None)


def cross_fitted(count: int, ranker: Ranker, folds: int = FOLDS, seed: int = 0) -> list[float]:
    """Each outcome's score, fitted on the outcomes of the other folds."""
    return _Cut(count, folds, seed, _Steps(_silent, folds)).cross_fitted(ranker)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Linear algebra on one thread: of several, those that wait take the processor from each other.

    With 2,000 rows on two busy cores, two threads took 98 s and one took 26 s.
    """
    import numpy  # noqa: F401  limits hold for libraries that are loaded
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


class _Steps:
    """Counts the fits that are done."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0
        progress(0, of)

    def next(self) -> None:
        self._done += 1
        self._progress(self._done, self._of)


@dataclass(frozen=True)
class _Ends:
    """Both tiers alone, and the shares of the strong one's quality whose cost is computed."""

    weak_only: Point
    strong_only: Point
    kept: tuple[float, ...]

    def area(self, points: Sequence[Point]) -> float:
        return area(points, self.weak_only, self.strong_only)

    @property
    def goals(self) -> list[float]:
        return [share * self.strong_only.quality for share in self.kept]

    def cost_for(self, points: Sequence[Point]) -> tuple[float, ...]:
        return tuple(cost_of_quality(points, self.strong_only, goal) for goal in self.goals)


class _Cut:
    """The outcomes that each fold decides about, and the two halves of the others."""

    def __init__(self, count: int, folds: int, seed: int, steps: _Steps) -> None:
        import numpy as np

        if not 2 <= folds <= count:
            raise ValueError(f"{count} outcomes cannot be cut into {folds} folds")
        order = np.random.default_rng(seed).permutation(count)
        self.count = count
        self.steps = steps
        self.parts: list[tuple[list[int], list[int], list[int]]] = []
        for fold in range(folds):
            judged = order[fold::folds].tolist()
            others = [index for place, index in enumerate(order.tolist()) if place % folds != fold]
            self.parts.append((judged, others[0::2], others[1::2]))

    def cross_fitted(self, ranker: Ranker) -> list[float]:
        """Each outcome's score, fitted on the other folds."""
        scores = [0.0] * self.count
        for judged, fitting, others in self.parts:
            for index, score in zip(judged, ranker([*fitting, *others])(judged), strict=True):
                scores[index] = score
            self.steps.next()
        return scores


def _promise(
    cut: _Cut,
    ranker: Ranker,
    outcomes: Sequence[Outcome],
    right: Sequence[bool],
    max_error: float,
    confidence: float,
    cascade: bool,
) -> Served:
    """The result of serving by this ranker's calibrated thresholds."""
    up = [True] * cut.count
    thresholds: list[float | None] = []
    missing: list[int] = []
    for judged, fitting, calibrating in cut.parts:
        calibrated, judge = _calibrate_on(
            ranker, right, fitting, calibrating, max_error, confidence
        )
        cut.steps.next()
        thresholds.append(calibrated.chosen.threshold if calibrated.chosen else None)
        if calibrated.missing is not None:
            missing.append(calibrated.missing)
        if calibrated.chosen is None:
            continue
        for index, score in zip(judged, judge(judged), strict=True):
            up[index] = score < calibrated.chosen.threshold
    errors = sum(not good for good, high in zip(right, up, strict=True) if not high)
    cost = point(outcomes, up, cascade=cascade).cost
    return Served(up.count(False), errors, tuple(thresholds), max(missing, default=None), cost)


def _calibrate_on(
    ranker: Ranker,
    right: Sequence[bool],
    fitting: Sequence[int],
    calibrating: Sequence[int],
    max_error: float,
    confidence: float,
) -> tuple[Calibrated, Scorer]:
    """A threshold chosen on `calibrating` for scores fitted on `fitting`, and those scores.

    The sequence of thresholds is planned on scores of `fitting` that were fitted on its other half,
    because scores of the fitted data itself are too optimistic.
    """
    first, second = list(fitting[0::2]), list(fitting[1::2])
    planned = [
        Scored(score, not right[index])
        for half, others in ((first, second), (second, first))
        for index, score in zip(half, ranker(others)(half), strict=True)
    ]
    fitted = ranker(fitting)
    tested = [
        Scored(score, not right[index])
        for index, score in zip(calibrating, fitted(calibrating), strict=True)
    ]
    thresholds = grid([one.score for one in planned])
    calibrated = search_threshold(tested, thresholds, max_error, confidence, planned)
    return calibrated, fitted


def _fixed(name: str, outcomes: Sequence[Outcome], up: Sequence[bool], ends: _Ends) -> Policy:
    at = point(outcomes, up, cascade=False)
    costs = [at.cost if at.quality >= goal else math.inf for goal in ends.goals]
    return Policy(name, at, _quality_interval(outcomes, up), ends.area([at]), (at,), tuple(costs))


def _random(outcomes: Sequence[Outcome], share: float, ends: _Ends) -> Policy:
    """The average of random choice: a straight line between the two tiers."""
    weak_only, strong_only = ends.weak_only, ends.strong_only
    at = Point(
        *(
            weak + share * (strong - weak)
            for weak, strong in (
                (weak_only.cost, strong_only.cost),
                (weak_only.quality, strong_only.quality),
                (0.0, 1.0),
            )
        )
    )
    low = _quality_interval(outcomes, [False] * len(outcomes))
    high = _quality_interval(outcomes, [True] * len(outcomes))
    mixed = (low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1]))
    line = (weak_only, strong_only)
    return Policy("random", at, mixed, ends.area(line), line, ends.cost_for(line))


def _ranked(
    name: str,
    outcomes: Sequence[Outcome],
    scores: Sequence[float],
    escalated: float,
    ends: _Ends,
    *,
    cascade: bool,
    promised: Served | None,
    lengths: Sequence[float],
) -> Policy:
    order = sorted(range(len(outcomes)), key=lambda index: scores[index])
    up = [False] * len(outcomes)
    for index in order[: round(escalated * len(outcomes))]:
        up[index] = True
    points = curve(outcomes, scores, cascade=cascade)
    return Policy(
        name,
        point(outcomes, up, cascade=cascade),
        _quality_interval(outcomes, up),
        ends.area(points),
        tuple(points),
        ends.cost_for(points),
        promised,
        _paired(outcomes, scores, lengths),
    )


def _paired(
    outcomes: Sequence[Outcome], scores: Sequence[float], lengths: Sequence[float]
) -> Paired | None:
    """None if the strong tier is not better than the weak one, so that there is no gap."""
    if sum(one.strong_quality - one.weak_quality for one in outcomes) <= 0:
        return None
    by_length = [-length for length in lengths]
    return Paired(
        apgr(outcomes, scores),
        apgr_beside(outcomes, scores, by_length),
        tuple(beside(outcomes, scores, lengths)),
    )


def _quality_interval(outcomes: Sequence[Outcome], up: Sequence[bool]) -> tuple[float, float]:
    """95%: exact where every quality is 0 or 1, otherwise by the normal approximation."""
    values = [
        one.strong_quality if high else one.weak_quality
        for one, high in zip(outcomes, up, strict=True)
    ]
    count = len(values)
    if all(value in (0.0, 1.0) for value in values):
        return interval(round(sum(values)), count)
    mean = sum(values) / count
    spread = (sum((value - mean) ** 2 for value in values) / max(count - 1, 1) / count) ** 0.5
    return max(0.0, mean - 1.96 * spread), min(1.0, mean + 1.96 * spread)
