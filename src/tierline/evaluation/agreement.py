"""How well two people agree about the same answers."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """The agreement of two people on the answers that both labelled."""

    answers: int
    same: int  # of those, on which both said the same
    kappa: float | None  # Cohen's; None: chance alone explains any agreement, or no answers

    @property
    def share(self) -> float | None:
        """Of the answers, 0 to 1."""
        return self.same / self.answers if self.answers else None


def agreement(pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement:
    """Cohen's kappa of what two people said: (observed - expected) / (1 - expected) agreement.

    1: they always agree; 0: as often as by chance; below 0: less often. (Cohen 1960, "A coefficient
    of agreement for nominal scales".) It is None if both always say the same one thing: then the
    expected agreement is 1.
    """
    count = len(pairs)
    same = sum(one == other for one, other in pairs)
    if not count:
        return Agreement(0, 0, None)
    first = Counter(one for one, _ in pairs)
    second = Counter(other for _, other in pairs)
    by_chance = sum(first[label] * second[label] for label in first)
    if by_chance == count * count:
        return Agreement(count, same, None)
    expected = by_chance / (count * count)
    return Agreement(count, same, (same / count - expected) / (1 - expected))
