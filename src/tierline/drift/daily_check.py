"""One check of a day's inputs: how they compare with those that a feature's evidence is based on.

The reference is split in two. A new input is compared with one half exactly as the inputs of the
other half are, so that while nothing changed it ranks among them like any of them.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tierline.base.json_text import JSON
from tierline.base.vectors import Vectors
from tierline.drift.likeness import ByHalf, Half, crowding, mixture
from tierline.drift.wealth import CHECKS_A_TERM, Bounds, Wealth, alarms, combined
from tierline.routing.thresholds.bounds import interval

RARE = 0.02  # share of known inputs that count as novel, or as near duplicates
NOVEL = {"novelty, 1 in 500": 0.002, "novelty": RARE, "novelty, 1 in 10": 0.1}
"""Shares of known inputs that are at least so far from all others. Inputs that are out of scope are
few and unlike each other: some are farther away than nearly any known input, which the first share
detects soonest; those that are hard to tell are detected by the last."""
SURE = 0.995  # the confidence of each bound on a mean, given the reference's size
SURE_OF_RARE, SURE_OF_FEW, SMALL = 0.975, 0.99, 500
"""The same for figures that use other inputs each day, so that errors average out; a SMALL
reference needs more. At 0.95 a reference of 200 gave false alarms in 7 of 100 simulated quarters,
at 0.99 in 2."""
BETS_LATER = 0.5  # a bound for a figure without values yet, so that its bets exist
FEWEST = 100  # the least inputs of a reference
MOST_LIVE = 200
"""Earlier inputs that are kept to detect near duplicates.

Among more, a new kind is a smaller part.
"""
AT_ONCE = 25  # a day's inputs that are compared with the earlier ones at a time


@dataclass(frozen=True)
class ObservedInputs:
    """Some inputs and their results, in the same order."""

    vectors: Vectors  # one row each, of length 1
    lengths: Sequence[int]  # characters
    # the served labels; None: not in a closed set. Empty: none known
    labels: Sequence[str | None] = ()
    wrong: Sequence[bool] = ()  # whether audited answers differ, of any inputs

    def part(self, which: slice, *, wrong: bool) -> "ObservedInputs":
        """Some of the inputs, with or without the audited answers."""
        return ObservedInputs(
            self.vectors[which],
            self.lengths[which],
            self.labels[which],
            self.wrong if wrong else (),
        )


@dataclass(frozen=True)
class Reference:
    """The state before any change."""

    baseline: Vectors  # the half that inputs are compared with
    others: Vectors  # the half that they are compared like
    lengths: tuple[int, ...]  # sorted
    labels: Mapping[str, int]
    errors: tuple[int, int] | None = None  # wrong and audited; None: no audits

    @cached_property
    def halves(self) -> tuple[Half, Half]:
        """Both halves, to compare with."""
        return Half(self.baseline, self.others), Half(self.others, self.baseline)

    @cached_property
    def all(self) -> Vectors:
        """Every known input."""
        import numpy as np

        inputs: Vectors = np.concatenate([self.baseline, self.others])
        return inputs

    @cached_property
    def apart(self) -> Any:
        """How far each known input is from its nearest other one."""
        import numpy as np

        cosines = self.all @ self.all.T
        np.fill_diagonal(cosines, -1.0)
        return -cosines.max(axis=1)


@dataclass(frozen=True)
class DriftState:
    """The state that is kept from check to check."""

    looks: int = 0  # in this term
    wealth: Mapping[str, Wealth] = field(default_factory=dict)

    def to_dict(self) -> dict[str, JSON]:
        """As JSON."""
        kept = {name: wealth.to_list() for name, wealth in self.wealth.items()}
        return {"looks": self.looks, "wealth": kept}

    @classmethod
    def from_dict(cls, kept: Mapping[str, JSON]) -> "DriftState":
        """The inverse of `to_dict`."""
        wealth = {name: Wealth.from_list(bets) for name, bets in kept["wealth"].items()}
        return cls(kept["looks"], wealth)


@dataclass(frozen=True)
class DayCheck:
    """The result of one check."""

    state: DriftState
    money: float  # of all figures together; 20 raises an alarm
    alarm: bool
    by: Mapping[str, float]  # figure → its own money
    means: Mapping[str, tuple[float, float, float]]  # figure → that day's mean, and its bounds
    novel: tuple[int, ...]  # positions of the inputs of a new kind, the clearest first


def reference_of(
    observed: ObservedInputs, errors: tuple[int, int] | None = None
) -> Reference | None:
    """None if it is too small for a decision."""
    if len(observed.vectors) < FEWEST:
        return None
    return Reference(
        observed.vectors[0::2],
        observed.vectors[1::2],
        tuple(sorted(observed.lengths)),
        Counter(label for label in observed.labels if label is not None),
        errors,
    )


def check_day(
    reference: Reference, state: DriftState, earlier: Vectors, observed: ObservedInputs
) -> DayCheck:
    """Process a day's inputs, in the order they came. `earlier`: the live inputs of the days
    before, the newest last. After CHECKS_A_TERM checks a new term begins, with nothing won.
    """
    import numpy as np

    if state.looks >= CHECKS_A_TERM:
        state = DriftState()
    wealth = dict(state.wealth)
    values: dict[str, list[float]] = {}
    bounds: dict[str, Bounds] = {}
    shares: dict[str, tuple[str, ...]] = {}
    for start in range(0, max(1, len(observed.vectors)), AT_ONCE):
        some = observed.part(slice(start, start + AT_ONCE), wrong=start == 0)
        for name, parts in _figures(reference, earlier, some).items():
            shares[name] = tuple(parts)
            for key, part in parts.items():
                before = wealth.get(key, Wealth())
                wealth[key] = before.after(part.values, part.bounds, begins=start == 0)
                values.setdefault(key, []).extend(part.values)
                bounds[key] = part.bounds
        earlier = np.concatenate([earlier, some.vectors])[-MOST_LIVE:]
    by = {name: combined({key: wealth[key] for key in keys}) for name, keys in shares.items()}
    money = sum(by.values()) / len(by)
    means = {
        key: (sum(given) / len(given), bounds[key].low, bounds[key].high)
        for key, given in values.items()
        if given
    }
    after = DriftState(state.looks + 1, wealth)
    return DayCheck(after, money, alarms(money), by, means, _novel(reference, observed))


@dataclass(frozen=True)
class _Part:
    values: Sequence[float]
    bounds: Bounds


def _figures(
    reference: Reference, earlier: Vectors, observed: ObservedInputs
) -> dict[str, dict[str, _Part]]:
    """The parts of each figure. The parts share the figure's stake. The reference alone decides
    which parts exist, so that no bet uses hindsight.
    """
    halves, fewest = reference.halves, len(reference.others)
    parts = {
        "novelty": _novel_parts(reference, observed.vectors),
        "crowding": {"crowding": _rare(crowding(halves, earlier, observed.vectors))},
        "mixture": {"mixture": _ranks(mixture(halves, earlier, observed.vectors), fewest)},
        "length": {"length": _length(reference, observed.lengths)},
    }
    if reference.labels:
        parts["labels"] = {
            f"label {label}": _label(reference, label, observed.labels)
            for label in reference.labels
        }
    if reference.errors is not None:
        high = interval(*reference.errors, 2 * SURE - 1)[1]
        values = [float(wrong) for wrong in observed.wrong]
        parts["errors"] = {"errors": _Part(values, Bounds(0.0, high))}
    return parts


def _novel_parts(reference: Reference, vectors: Vectors) -> dict[str, _Part]:
    """By share: which live inputs are farther from their nearest known input than all but that
    share of the known inputs are from theirs. Each input counts by its own rank among all known
    inputs, not among half of them, whose nearest are farther away.
    """
    live = -(vectors @ reference.all.T).max(axis=1) if len(vectors) else ()
    return {name: _rare([(live, reference.apart)], share) for name, share in NOVEL.items()}


def _rare(halves: ByHalf, share: float = RARE) -> _Part:
    """How many live inputs are stranger than all but that share of the known ones: the mean over
    both halves, or of the whole.
    """
    import numpy as np

    values, strange, known_ones = [], 0, 0
    for live, own in halves:
        limit = float(np.sort(own)[::-1][int(share * len(own))])
        strange += int((own > limit).sum())
        known_ones += len(own)
        values.append((np.asarray(live) > limit).astype(float))
    if not values:
        return _Part((), Bounds(0.0, BETS_LATER))
    sure = SURE_OF_FEW if known_ones < SMALL else SURE_OF_RARE
    high = interval(strange, known_ones, 2 * sure - 1)[1]
    return _Part(np.mean(values, axis=0).tolist(), Bounds(0.0, high))


def _ranks(halves: ByHalf, fewest: int) -> _Part:
    """The ranks of the live inputs among the known ones, 0 to 1: the mean over both halves."""
    import numpy as np

    bounds = Bounds(0.0, 0.5 + _slack(fewest))
    if not halves:
        return _Part((), bounds)
    values = [np.searchsorted(np.sort(own), live) / len(own) for live, own in halves]
    return _Part(np.mean(values, axis=0).tolist(), bounds)


def _length(reference: Reference, lengths: Sequence[int]) -> _Part:
    """The rank of each length among the known ones, 0 to 1; the mean is 1/2 while nothing
    changed.
    """
    lengths_before = reference.lengths
    ranks = [
        (bisect_left(lengths_before, one) + bisect_right(lengths_before, one))
        / 2.0
        / len(lengths_before)
        for one in lengths
    ]
    slack = _slack(len(lengths_before))
    return _Part(ranks, Bounds(0.5 - slack, 0.5 + slack))


def _slack(count: int) -> float:
    """How far a mean rank among so many may be from 1/2, because they are only a sample: the mean
    of n ranks has a standard deviation of 1 / sqrt(12 n).
    """
    return 2.6 / math.sqrt(12.0 * count)


def _label(reference: Reference, label: str, labels: Sequence[str | None]) -> _Part:
    count, total = reference.labels[label], sum(reference.labels.values())
    low, high = interval(count, total, 2 * SURE - 1)
    values = [float(one == label) for one in labels if one is not None]
    return _Part(values, Bounds(low, high))


def _novel(reference: Reference, observed: ObservedInputs) -> tuple[int, ...]:
    import numpy as np

    if not len(observed.vectors):
        return ()
    live = -(observed.vectors @ reference.all.T).max(axis=1)
    limit = float(np.sort(reference.apart)[::-1][int(RARE * len(reference.apart))])
    order = np.argsort(-live)
    return tuple(int(place) for place in order if live[place] > limit)
