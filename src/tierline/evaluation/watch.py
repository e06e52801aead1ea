"""Watching what was promoted: how often it may differ from the last tier before that breaks."""

from tierline.evaluation.recommendation import DEFAULT, SHIP, Rung
from tierline.routing.monitoring import broken

CONFIDENCE = 0.95  # with which a promotion is taken back wrongly in at most one of 20
FEWEST = 50  # answers compared before a canary may grow
MOST = 0.99


def most_differing(differ_at_most: float, low: float, large: float, rung: Rung) -> float:
    """The share of answers that may differ from the last tier's.

    `differ_at_most` is what the evaluation leaves possible; `low` the lower bound of the ratio that
    it showed, above the rung's floor; `large` the last tier's quality. Each answer that differs
    beyond the first costs quality at worst, so that the room between `low` and the floor is how
    many more may.
    """
    floor = DEFAULT if rung == "default" else SHIP
    return min(MOST, differ_at_most + max(0.0, low - floor) * large)


def is_broken(differ: int, samples: int, most: float) -> bool:
    """Whether the live answers refute it, however often one looks."""
    return samples > 0 and broken(differ, samples, most, CONFIDENCE)
