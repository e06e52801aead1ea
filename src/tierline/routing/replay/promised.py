"""What the threshold of a promise serves of recorded outcomes, cross-fitted.

Each fold is decided by a router that is fitted on one half of the other folds and calibrated on the
other half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.routing.replay.cross_fit import CrossFit
from tierline.routing.replay.curves import Outcome, point
from tierline.routing.replay.rankers import Ranker, Scorer
from tierline.routing.thresholds.bounds import interval
from tierline.routing.thresholds.threshold_search import Calibrated, Scored, grid, search_threshold


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


def served_within(
    split: CrossFit,
    ranker: Ranker,
    outcomes: Sequence[Outcome],
    right: Sequence[bool],
    max_error: float,
    confidence: float,
    cascade: bool,
) -> Served:
    """The result of serving by this ranker's calibrated thresholds."""
    up = [True] * split.count
    thresholds: list[float | None] = []
    missing: list[int] = []
    for judged, fitting, calibrating in split.parts:
        calibrated, scorer = _calibrate_on(
            ranker, right, fitting, calibrating, max_error, confidence
        )
        split.steps.next()
        thresholds.append(calibrated.chosen.threshold if calibrated.chosen else None)
        if calibrated.missing is not None:
            missing.append(calibrated.missing)
        if calibrated.chosen is None:
            continue
        for index, score in zip(judged, scorer(judged), strict=True):
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
