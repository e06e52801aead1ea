"""What follows from a comparison: whether the small tier may ship. The bound decides.

A small model that keeps 90% of the large one's quality may ship, with escalation. At 95% it becomes
the default, and only failed checks escalate. If the interval decides neither, the number of
examples that would decide is planned, from the estimated ratio and its error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tierline.evaluation.compare import CONFIDENCE, Compared
from tierline.routing.thresholds.bounds import upper_bound

SHIP, DEFAULT = 0.90, 0.95  # of the large tier's quality
POWER = 0.95  # the probability that a plan decides, if the true ratio is as far off as it assumes
NEARER = 0.75  # the probability that the true ratio is at least that far from the floor
UNSURE = 0.9  # confidence of the bound, from a first sample, on how often pairs differ
MIXED = 1.5  # log capital that a mixture of bets gives away against the best bet alone
FEW_DIFFER = 10  # pairs; with fewer, their variance means little
MOST_EXAMPLES = 20_000  # a question that needs more is called too close to call

Rung = Literal["default", "ship", "open", "investigate"]


@dataclass(frozen=True)
class Recommendation:
    """What may be done, and why."""

    rung: Rung
    reason: str
    more: int | None = None  # examples that would decide an open question
    more_for_default: int | None = None  # that would decide whether it keeps DEFAULT
    too_close: tuple[Rung, ...] = ()  # "ship", "default": no realistic number decides them


def recommendation(compared: Compared) -> Recommendation:
    """From the interval of the ratio."""
    if compared.ratio is None or compared.interval is None:
        return Recommendation("investigate", "the large tier is right on none of the examples")
    low, high = compared.interval.low, compared.interval.high
    quality = f"it keeps {compared.ratio:.1%} ({low:.1%}-{high:.1%}) of the large tier's quality"
    if low >= DEFAULT:
        return Recommendation("default", f"{quality}: at least {DEFAULT:.0%}")
    if high < SHIP:
        return Recommendation("investigate", f"{quality}: less than {SHIP:.0%}")
    ships = low >= SHIP
    more = None if ships else more_examples(compared, SHIP)
    for_default = None if high < DEFAULT else more_examples(compared, DEFAULT)
    close: list[Rung] = []
    if not ships and more is None:
        close.append("ship")
    if high >= DEFAULT and for_default is None:
        close.append("default")
    if ships:
        reason = f"{quality}: at least {SHIP:.0%}"
    elif more is None:
        reason = f"{quality}: too close to {SHIP:.0%} to call"
    else:
        reason = f"{quality}: that does not decide"
    return Recommendation("ship" if ships else "open", reason, more, for_default, tuple(close))


def more_examples(compared: Compared, floor: float) -> int | None:
    """How many further examples would show on which side of `floor` the ratio is; None: too close
    to call.

    The estimated ratio is normal around the true one. So the true ratio is, with probability
    NEARER, at least some distance from the floor, and the plan is made for that distance.
    """
    if compared.ratio is None:
        return None
    error = math.sqrt(_variance(compared, compared.ratio) / compared.examples) / compared.large
    distance = _distance(abs(compared.ratio - floor), error)
    needed = examples_needed(compared, floor, distance)
    if needed > MOST_EXAMPLES:
        return None
    return max(_at_least(compared.examples), needed - compared.examples)


def examples_needed(compared: Compared, floor: float, distance: float) -> int:
    """The number of examples, in all, that decide with probability POWER if the true ratio is
    `distance` from `floor`. Raises ValueError if that is not above 0.

    The best bet gains mean^2 / (2 variance) of log capital for each example (normal approximation),
    and has to reach the log of 2 / risk and what the mixture gives away.
    """
    if not distance > 0.0:
        raise ValueError(f"a distance of {distance:g} from {floor:g} is not above 0")
    from scipy.stats import norm

    gain = (distance * compared.large) ** 2 / (2.0 * _variance(compared, floor))
    log_capital = math.log(2.0 / (1.0 - CONFIDENCE)) + MIXED
    z = float(norm.ppf(POWER))
    # n gain - z sqrt(2 n gain) >= wanted
    root = (z * math.sqrt(2.0) + math.sqrt(2.0 * z * z + 4.0 * log_capital)) / 2.0
    return math.ceil(root**2 / gain)


def _variance(compared: Compared, ratio: float) -> float:
    """The variance over the pairs of small - ratio * large, not underestimated where few differ."""
    differ = upper_bound(compared.only_small + compared.only_large, compared.examples, UNSURE)
    most = differ + (1.0 - ratio) ** 2 * compared.large * (1.0 - compared.large)
    few = compared.only_small + compared.only_large < FEW_DIFFER
    return max(most if few else compared.variance, 1e-9)


def _distance(estimated: float, error: float) -> float:
    """The distance from the floor that the true ratio has at least, with probability NEARER."""
    from scipy.stats import norm

    low, high = 0.0, estimated + 4.0 * error
    for _ in range(60):
        middle = (low + high) / 2.0
        beyond = norm.sf((middle - estimated) / error) + norm.cdf((-middle - estimated) / error)
        low, high = (middle, high) if beyond >= NEARER else (low, middle)
    return max(low, 1e-9)


def _at_least(examples: int) -> int:
    """The fewest examples that are worth adding: a tenth of what there is, and ten."""
    return max(10, math.ceil(examples / 10))


def differing(small: Sequence[float], large: Sequence[float]) -> list[int]:
    """The positions where the tiers differ, the small one's largest losses first."""
    places = [place for place, one in enumerate(small) if one != large[place]]
    return sorted(places, key=lambda place: small[place] - large[place])
