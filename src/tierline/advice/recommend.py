"""A recommendation from signals, and how certain it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tierline.advice.signals import Signal, high_stakes

Tier = Literal["frontier", "open", "small first", "small"]
TIERS: tuple[Tier, ...] = get_args(Tier)
IN_WORDS = {
    "frontier": "stay on the frontier for now",
    "open": "open: the known signals do not decide",
    "small first": "a small model first, with escalation to the frontier",
    "small": "a small model, with escalation for failed checks only",
}
OPEN = 0.1  # lean: nearer to 0 nothing is recommended
CLEAR = 0.45  # from this lean on, doubts alone need no escalation
_STAKES = high_stakes.__name__.replace("_", " ")


@dataclass(frozen=True)
class Recommendation:
    """The recommended tier, the lean, and the certainty."""

    tier: Tier
    lean: float  # -1: all weight is on the frontier; 1: on a small model
    sure: float  # 0 to 1


def recommend(signals: Sequence[Signal]) -> Recommendation:
    """The lean is the weight for a small model minus that for the frontier, divided by the weight
    of all signals, unknown ones included. So unknown signals only make it weaker. The certainty is
    the absolute lean, divided by CLEAR. If high stakes are not ruled out, the escalation stays.
    """
    every = sum(signal.weight for signal in signals)
    small = sum(signal.weight for signal in signals if signal.points == "small")
    frontier = sum(signal.weight for signal in signals if signal.points == "frontier")
    lean = (small - frontier) / every if every else 0.0
    sure = min(1.0, abs(lean) / CLEAR)
    if lean <= -OPEN:
        return Recommendation("frontier", lean, sure)
    if lean < OPEN:
        return Recommendation("open", lean, 0.0)
    stakes_open = any(s.name == _STAKES and s.points in ("frontier", "unknown") for s in signals)
    return Recommendation("small first" if stakes_open or lean < CLEAR else "small", lean, sure)
