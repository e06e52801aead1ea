"""Promises where a judge decides which answers differ: its own errors must be included.

Wrong answers are those that the judge saw to differ, plus some that it took for the same. A sample
labelled by people bounds the second share: P(wrong) is at most
P(differs) + (1 - P(differs)) P(wrong | taken for the same). Each bound gets half of the risk.
"""

from dataclasses import dataclass

from tierline.routing.thresholds.bounds import samples_needed, upper_bound


@dataclass(frozen=True)
class Trusted:
    """A judge, and people's labels of answers that it took for the same as their reference."""

    samples: int
    wrong: int

    def missed(self, confidence: float) -> float:
        """The highest possible share of wrong answers among those taken for the same, 0..1."""
        if not self.samples:
            return 1.0
        return upper_bound(self.wrong, self.samples, _half(confidence))


@dataclass(frozen=True)
class Terms:
    """What the judge's results must show, so that a promise about wrong answers holds."""

    max_error: float  # the share of served answers that the judge may see to differ
    confidence: float


def terms(judge: Trusted, max_error: float, confidence: float) -> Terms | None:
    """The terms, or None if the judge misses too much or too little is known about it."""
    missed = judge.missed(confidence)
    if missed >= max_error:
        return None
    return Terms((max_error - missed) / (1.0 - missed), _half(confidence))


def labels_needed(max_error: float, confidence: float) -> int:
    """How many labels of answers taken for the same, all of them right, are needed so that half of
    the allowed error is left for the differences that the judge sees.
    """
    needed = samples_needed(max_error / 2.0, _half(confidence))
    assert needed is not None, "zero errors always prove something"
    return needed


def widened(upper: float, missed: float) -> float:
    """The most that may be wrong: at most `upper` differs, and `missed` of the rest is wrong."""
    return upper + (1.0 - upper) * missed


def _half(confidence: float) -> float:
    """The confidence of each of two bounds that together hold at `confidence`."""
    return 1.0 - (1.0 - confidence) / 2.0
