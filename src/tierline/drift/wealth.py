"""Betting against "nothing changed", day after day, without alarms for having looked so often.

Each figure is a number from 0 to 1 whose mean is known to lie within bounds as long as nothing
changed. A bet that it lies above them multiplies its stake by 1 + b (x - high), and wins on average
nothing while the bound holds; so the stake exceeds 1/a with a probability of at most a, however
often one looks (Ville's inequality; betting on bounded means: Waudby-Smith and Ramdas 2024). A
change may come on any day: a part of the money is put aside for each day of the term and staked on
that day, so that old losses do not eat what a new change would win (Shiryaev-Roberts).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON

LOOKS = 90  # in a term, a day each: a quarter
ALARM = 0.05  # the chance of a false alarm in a whole term
FRACTIONS = (0.02, 0.06, 0.2)
"""Of the largest bet that cannot lose all, those that are made side by side: a large change is won
on soonest with a large bet, a small one only with a small one."""

_NOTHING = float("-inf")  # the logarithm of no money


@dataclass(frozen=True)
class Bounds:
    """Where the mean of a figure lies while nothing changed."""

    low: float  # 0..1; 0: it is not bet on falling
    high: float  # 0..1; 1: it is not bet on rising


@dataclass(frozen=True)
class Wealth:
    """What the bets on one figure hold by now, as logarithms; each a bet's, rising ones first."""

    bets: tuple[float, ...] = ()  # () : none is made yet

    @property
    def total(self) -> float:
        """The money of all its bets together, from at most 1 that was staked in the whole term."""
        if not self.bets:
            return 0.0
        return sum(math.exp(min(bet, 700.0)) for bet in self.bets) / len(self.bets)

    def after(self, values: Sequence[float], bounds: Bounds, *, begins: bool = True) -> "Wealth":
        """What it holds after these values, in the order they came in. `begins`: they are the first
        of a look, which stakes a part of the term's money. The bounds may be others than before,
        but bet on the same sides.
        """
        sides = [
            *([(bounds.high, False)] if bounds.high < 1.0 else ()),
            *([(1.0 - bounds.low, True)] if bounds.low > 0.0 else ()),
        ]
        held = [_NOTHING] * (len(sides) * len(FRACTIONS)) if not self.bets else list(self.bets)
        found = []
        for place, bet in enumerate(held):
            high, falling = sides[place // len(FRACTIONS)]
            size = FRACTIONS[place % len(FRACTIONS)] / max(high, 1e-9)
            money = _added(bet, -math.log(LOOKS)) if begins else bet
            for value in values:
                money += math.log1p(size * ((1.0 - value if falling else value) - high))
            found.append(money)
        return Wealth(tuple(found))

    def to_list(self) -> list[JSON]:
        """As JSON; null is no money."""
        return [None if bet == _NOTHING else bet for bet in self.bets]

    @classmethod
    def from_list(cls, kept: Sequence[float | None]) -> "Wealth":
        """What `to_list` gave."""
        return cls(tuple(_NOTHING if bet is None else bet for bet in kept))


def combined(wealths: Mapping[str, Wealth]) -> float:
    """The money of all figures together, each having had the same share to stake."""
    return sum(wealth.total for wealth in wealths.values()) / len(wealths) if wealths else 0.0


def alarms(money: float) -> bool:
    """Whether so much was hardly won by luck."""
    return money >= 1.0 / ALARM


def _added(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    most = max(a, b)
    return most + math.log(math.exp(a - most) + math.exp(b - most))
