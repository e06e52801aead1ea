"""Watches a promotion: how often its answers may differ from the last tier's."""

from tierline.evaluation.recommendation import DEFAULT, SHIP, Rung
from tierline.routing.thresholds.monitoring import broken

CONFIDENCE = 0.95  # a promotion is wrongly taken back in at most one of 20 cases
FEWEST = 50  # compared answers before a canary may grow
MOST = 0.99


def most_differing(differ_at_most: float, low: float, large: float, rung: Rung) -> float:
    """The share of answers that may differ from the last tier's.

    `differ_at_most` is the share that the evaluation leaves possible; `low` is the lower bound of
    its ratio, above the rung's floor; `large` is the last tier's quality. In the worst case each
    further differing answer costs quality, so the distance between `low` and the floor limits how
    many more may differ.
    """
    floor = DEFAULT if rung == "default" else SHIP
    return min(MOST, differ_at_most + max(0.0, low - floor) * large)


def is_broken(differ: int, samples: int, most: float) -> bool:
    """Whether the live answers refute the promotion, however often it is tested."""
    return samples > 0 and broken(differ, samples, most, CONFIDENCE)
