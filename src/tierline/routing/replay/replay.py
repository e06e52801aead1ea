"""Replays recorded outcomes of both tiers through the routing that serves, without any model.

Everything is cross-fitted: the outcomes are split into folds. The decisions about a fold are fitted
on one half of the other folds and calibrated on the other half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals
from tierline.routing.replay import rankers
from tierline.routing.replay.curves import Outcome, Point, area, curve, point
from tierline.routing.replay.rankers import Ranker, Scorer
from tierline.routing.thresholds.bounds import interval
from tierline.routing.thresholds.combination import CannotLearn, Signals
from tierline.routing.thresholds.threshold_search import Calibrated, Scored, grid, search_threshold

FOLDS = 5


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
    promised: Served | None = None  # only for policies that can promise


@dataclass(frozen=True)
class Replay:
    """The table: every policy at the same share of requests sent to the frontier."""

    count: int
    escalated: float  # that share: what `main` escalates to keep the promise
    main: str  # the policy whose promise sets it
    policies: tuple[Policy, ...]
    weak_only: Point
    strong_only: Point


def replay(
    recorded: Sequence[Recorded],
    *,
    max_error: float,
    confidence: float,
    embeddings: Vectors | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> Replay:
    """Compare all policies. Raises CannotLearn if the weak tier is always right or always wrong,
    ValueError if the strong tier does not cost more than the weak one.
    """
    outcomes = [one.outcome for one in recorded]
    right = [not one.wrong for one in recorded]
    if len(set(right)) < 2:
        kind = "right" if right and right[0] else "wrong"
        raise CannotLearn(f"every weak answer is {kind}, so nothing can be learned for routing")
    cut = _Cut(len(recorded), folds, seed)
    count = len(recorded)
    weak_only = point(outcomes, [False] * count, cascade=False)
    strong_only = point(outcomes, [True] * count, cascade=False)
    prompts = [one.prompt for one in recorded]
    glances = [text_signals(prompt) for prompt in prompts]

    ours: dict[str, Ranker] = {}
    if any(value is not None for one in recorded for value in one.signals.values()):
        ours["confidence"] = rankers.confidence([one.signals for one in recorded], right)
    ours["complexity"] = rankers.complexity(glances, right, embeddings)
    promised = {
        name: _promise(cut, ranker, right, max_error, confidence) for name, ranker in ours.items()
    }
    pooled = {name: cut.cross_fitted(ranker) for name, ranker in ours.items()}
    pooled["prompt length"] = [-float(len(prompt)) for prompt in prompts]
    pooled["TF-IDF"] = cut.cross_fitted(rankers.tfidf(prompts, right))
    pooled["kNN"] = cut.cross_fitted(rankers.nearest(prompts, right, embeddings))
    pooled["oracle"] = [one.weak_quality - one.strong_quality for one in outcomes]

    main = next(iter(ours))
    escalated = 1.0 - promised[main].served / count
    policies = [
        _fixed("weak only", outcomes, [False] * count, weak_only, strong_only),
        _fixed("strong only", outcomes, [True] * count, weak_only, strong_only),
        _random(outcomes, escalated, weak_only, strong_only),
    ]
    for name, scores in pooled.items():
        policies.append(
            _ranked(
                name,
                outcomes,
                scores,
                escalated,
                weak_only,
                strong_only,
                cascade=name == "confidence",
                promised=promised.get(name),
            )
        )
    return Replay(count, escalated, main, tuple(policies), weak_only, strong_only)


def cross_fitted(count: int, ranker: Ranker, folds: int = FOLDS, seed: int = 0) -> list[float]:
    """Each outcome's score, fitted on the outcomes of the other folds."""
    return _Cut(count, folds, seed).cross_fitted(ranker)


class _Cut:
    """The outcomes that each fold decides about, and the two halves of the others."""

    def __init__(self, count: int, folds: int, seed: int) -> None:
        import numpy as np

        if not 2 <= folds <= count:
            raise ValueError(f"{count} outcomes cannot be cut into {folds} folds")
        order = np.random.default_rng(seed).permutation(count)
        self.count = count
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
        return scores


def _promise(
    cut: _Cut, ranker: Ranker, right: Sequence[bool], max_error: float, confidence: float
) -> Served:
    """The result of serving by this ranker's calibrated thresholds."""
    served = errors = 0
    thresholds: list[float | None] = []
    missing: list[int] = []
    for judged, fitting, calibrating in cut.parts:
        calibrated, judge = _calibrate_on(
            ranker, right, fitting, calibrating, max_error, confidence
        )
        thresholds.append(calibrated.chosen.threshold if calibrated.chosen else None)
        if calibrated.missing is not None:
            missing.append(calibrated.missing)
        for index, score in zip(judged, judge(judged), strict=True):
            if calibrated.chosen is not None and score >= calibrated.chosen.threshold:
                served += 1
                errors += not right[index]
    return Served(served, errors, tuple(thresholds), max(missing, default=None))


def _calibrate_on(
    ranker: Ranker,
    right: Sequence[bool],
    fitting: Sequence[int],
    calibrating: Sequence[int],
    max_error: float,
    confidence: float,
) -> tuple[Calibrated, Scorer]:
    """A threshold chosen on `calibrating` for scores fitted on `fitting`, and those scores.

    The sequence of thresholds is planned on scores of `fitting` that were fitted on its other half, because scores of the fitted data itself are too optimistic.
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
    calibrated = search_threshold(tested, thresholds, max_error, confidence)
    return calibrated, fitted


def _fixed(
    name: str, outcomes: Sequence[Outcome], up: Sequence[bool], weak_only: Point, strong_only: Point
) -> Policy:
    at = point(outcomes, up, cascade=False)
    return Policy(
        name, at, _quality_interval(outcomes, up), area([at], weak_only, strong_only), (at,)
    )


def _random(
    outcomes: Sequence[Outcome], share: float, weak_only: Point, strong_only: Point
) -> Policy:
    """The average of random choice: a straight line between the two tiers."""
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
    return Policy("random", at, mixed, area(line, weak_only, strong_only), line)


def _ranked(
    name: str,
    outcomes: Sequence[Outcome],
    scores: Sequence[float],
    escalated: float,
    weak_only: Point,
    strong_only: Point,
    *,
    cascade: bool,
    promised: Served | None,
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
        area(points, weak_only, strong_only),
        tuple(points),
        promised,
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
