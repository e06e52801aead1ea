"""Scores of outcomes by routers that were fitted on the other outcomes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tierline.routing.replay.rankers import Ranker

FOLDS = 5

Progress = Callable[[int, int], None]
"""Is called with the number of finished fits and of all fits."""


def silent(done: int, of: int) -> None:
    """Progress that is not shown."""


def cross_fitted(count: int, ranker: Ranker, folds: int = FOLDS, seed: int = 0) -> list[float]:
    """Each outcome's score, fitted on the outcomes of the other folds."""
    return CrossFit(count, folds, seed, Steps(silent, folds)).cross_fitted(ranker)


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread: of several, those that wait take the processor from each other.

    With 2,000 rows on two busy cores, two threads took 98 s and one took 26 s.
    """
    import numpy  # noqa: F401  limits hold for libraries that are loaded
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


class Steps:
    """Counts the fits that are done."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0
        progress(0, of)

    def next(self) -> None:
        self._done += 1
        self._progress(self._done, self._of)


class CrossFit:
    """For each fold, its outcomes and the two halves of the others, on which routers are fitted."""

    def __init__(self, count: int, folds: int, seed: int, steps: Steps) -> None:
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
