"""Bets against "nothing changed", day after day, without false alarms from repeated tests.

Each figure is a number from 0 to 1 whose mean is known to be within bounds as long as nothing
changed. A bet that it is above them multiplies its stake by 1 + b (x - high), and on average wins
nothing while the bound holds. So the stake exceeds 1/a with a probability of at most a, however
often one tests (Ville's inequality; betting on bounded means: Waudby-Smith and Ramdas 2024). A
change may come on any day. So a part of the money is reserved for each day of the term and staked
on that day, and earlier losses do not reduce what a later change wins (Shiryaev-Roberts).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON

CHECKS_A_TERM = 90  # per term, one a day: a quarter
ALARM = 0.05  # the probability of a false alarm in a whole term
FRACTIONS = (0.02, 0.06, 0.2)
"""Sizes of parallel bets, as parts of the largest bet that cannot lose everything. A large bet
detects a large change soonest; only a small bet detects a small change."""

_NOTHING = float("-inf")  # the logarithm of no money


@dataclass(frozen=True)
class Bounds:
    """The range of a figure's mean while nothing changed."""

    low: float  # 0..1; 0: no bet on falling
    high: float  # 0..1; 1: no bet on rising


@dataclass(frozen=True)
class Wealth:
    """The present value of the bets on one figure, as logarithms; those on rising first."""

    bets: tuple[float, ...] = ()  # (): no bets yet

    @property
    def total(self) -> float:
        """The money of all its bets together; at most 1 is staked in the whole term."""
        if not self.bets:
            return 0.0
        return sum(math.exp(min(bet, 700.0)) for bet in self.bets) / len(self.bets)

    def after(self, values: Sequence[float], bounds: Bounds, *, begins: bool = True) -> "Wealth":
        """The value after these values, in the order they came. `begins`: they are the first of a
        check, which stakes a part of the term's money. The bounds may differ from before, but must
        be for the same sides.
        """
        sides = [
            *([(bounds.high, False)] if bounds.high < 1.0 else ()),
            *([(1.0 - bounds.low, True)] if bounds.low > 0.0 else ()),
        ]
        held = [_NOTHING] * (len(sides) * len(FRACTIONS)) if not self.bets else list(self.bets)
        capital = []
        for place, bet in enumerate(held):
            high, falling = sides[place // len(FRACTIONS)]
            size = FRACTIONS[place % len(FRACTIONS)] / max(high, 1e-9)
            money = _added(bet, -math.log(CHECKS_A_TERM)) if begins else bet
            for value in values:
                money += math.log1p(size * ((1.0 - value if falling else value) - high))
            capital.append(money)
        return Wealth(tuple(capital))

    def to_list(self) -> list[JSON]:
        """As JSON; null is no money."""
        return [None if bet == _NOTHING else bet for bet in self.bets]

    @classmethod
    def from_list(cls, kept: Sequence[float | None]) -> "Wealth":
        """The inverse of `to_list`."""
        return cls(tuple(_NOTHING if bet is None else bet for bet in kept))


def combined(wealths: Mapping[str, Wealth]) -> float:
    """The money of all figures together; each had the same share to stake."""
    return sum(wealth.total for wealth in wealths.values()) / len(wealths) if wealths else 0.0


def alarms(money: float) -> bool:
    """Whether chance is an unlikely reason for this much money."""
    return money >= 1.0 / ALARM


def _added(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    most = max(a, b)
    return most + math.log(math.exp(a - most) + math.exp(b - most))
