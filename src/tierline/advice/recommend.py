"""From signals to a recommendation, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tierline.advice.signals import Signal, high_stakes

Tier = Literal["frontier", "open", "small first", "small"]
TIERS: tuple[Tier, ...] = get_args(Tier)
TOLD = {
    "frontier": "stay on the frontier for now",
    "open": "open: what is known points neither way",
    "small first": "a small model first, with escalation to the frontier",
    "small": "a small model, with escalation for failed checks alone",
}
OPEN = 0.1  # lean: nearer to 0 nothing is recommended
CLEAR = 0.45  # lean from which on doubts need no escalation of their own
_STAKES = high_stakes.__name__.replace("_", " ")


@dataclass(frozen=True)
class Recommendation:
    """Which tier, by which lean, and how sure."""

    tier: Tier
    lean: float  # -1: all that could speaks for the frontier; 1: for a small model
    sure: float  # 0 to 1


def recommend(signals: Sequence[Signal]) -> Recommendation:
    """The lean is the weight for a small model less that for the frontier, over the weight of all
    signals, those that are unknown included: so what is not known makes it weaker, and never
    stronger. How sure it is is the lean without its sign, over what it takes to be clear. High
    stakes that are not ruled out keep the escalation.
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
    kept = any(s.name == _STAKES and s.points in ("frontier", "unknown") for s in signals)
    return Recommendation("small first" if kept or lean < CLEAR else "small", lean, sure)
