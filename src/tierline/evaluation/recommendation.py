"""What follows from a comparison: whether the small tier may ship. The bound decides.

A small model that keeps 90% of the large one's quality may ship, with escalation. At 95% it becomes
the default, and only failed checks escalate. If the interval decides neither, the number of
examples that would decide is computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tierline.evaluation.compare import CONFIDENCE, Compared
from tierline.routing.thresholds.bounds import upper_bound

SHIP, DEFAULT = 0.90, 0.95  # of the large tier's quality
HOPED = 0.97  # the true ratio that a plan assumes
POWER = 0.95  # the probability that a plan detects it
UNSURE = 0.9  # confidence of the bound, from a first sample, on how often pairs differ

Rung = Literal["default", "ship", "open", "investigate"]


@dataclass(frozen=True)
class Recommendation:
    """What may be done, and why."""

    rung: Rung
    reason: str
    more: int | None = None  # examples that would decide an open question; None: it is not open


def recommendation(found: Compared, hoped: float = HOPED) -> Recommendation:
    """From the interval of the ratio. `hoped`: the assumed ratio for planning an open question."""
    if found.ratio is None or found.interval is None:
        return Recommendation("investigate", "the large tier is right on none of the examples")
    low, high = found.interval.low, found.interval.high
    quality = f"it keeps {found.ratio:.1%} ({low:.1%}-{high:.1%}) of the large tier's quality"
    if low >= DEFAULT:
        return Recommendation("default", f"{quality}: at least {DEFAULT:.0%}")
    if low >= SHIP:
        return Recommendation("ship", f"{quality}: at least {SHIP:.0%}")
    if high < SHIP:
        return Recommendation("investigate", f"{quality}: less than {SHIP:.0%}")
    more = max(1, examples_needed(found, SHIP, hoped) - found.examples)
    return Recommendation("open", f"{quality}: that does not decide", more)


def examples_needed(found: Compared, floor: float, hoped: float = HOPED) -> int:
    """The number of examples that show a ratio above `floor` with probability POWER if it is
    `hoped`. It assumes that pairs differ as often as the result allows at most (normal
    approximation of the paired difference, as in Lachin 1981). Raises ValueError if `hoped` is not
    above the floor.
    """
    if not floor < hoped:
        raise ValueError(f"a ratio of {hoped:g} is not above {floor:g}")
    from scipy.stats import norm

    differ = upper_bound(found.only_small + found.only_large, found.examples, UNSURE)
    large = max(found.large, 1e-6)
    # The variance of small - floor * large over the pairs: those that differ, and those both miss.
    variance = differ + (1.0 - floor) ** 2 * large * (1.0 - large)
    z = float(norm.ppf(1.0 - (1.0 - CONFIDENCE) / 2.0) + norm.ppf(POWER))
    return math.ceil((z / ((hoped - floor) * large)) ** 2 * variance)


def differing(small: Sequence[float], large: Sequence[float]) -> list[int]:
    """The positions where the tiers differ, the small one's largest losses first."""
    places = [place for place, one in enumerate(small) if one != large[place]]
    return sorted(places, key=lambda place: small[place] - large[place])
