"""What may be promised where a judge says which answers differ: it errs, and that is paid for.

Of what a tier serves, wrong are answers that the judge saw to differ, and some that it held to say
the same. The second share is bounded by a sample that people labelled: P(wrong) is at most
P(differs) + (1 - P(differs)) P(wrong | held to be the same). Both bounds are at half of the risk.
"""

from dataclasses import dataclass

from tierline.routing.bounds import samples_needed, upper_bound


@dataclass(frozen=True)
class Trusted:
    """A judge, by what people said of answers that it held to say the same as their reference."""

    samples: int
    wrong: int

    def missed(self, confidence: float) -> float:
        """The most of what it holds to be the same that may be wrong, 0..1."""
        if not self.samples:
            return 1.0
        return upper_bound(self.wrong, self.samples, _half(confidence))


@dataclass(frozen=True)
class Terms:
    """What has to be shown of the judge's word, so that a promise about what is wrong holds."""

    max_error: float  # of what is served, the share that the judge may see to differ
    confidence: float


def terms(judge: Trusted, max_error: float, confidence: float) -> Terms | None:
    """None: the judge misses too much, or too little is known of it, for any such promise."""
    missed = judge.missed(confidence)
    if missed >= max_error:
        return None
    return Terms((max_error - missed) / (1.0 - missed), _half(confidence))


def labels_needed(max_error: float, confidence: float) -> int:
    """How many labels of answers that it held to be the same, all of them right, leave half of the
    error to what it sees.
    """
    found = samples_needed(max_error / 2.0, _half(confidence))
    assert found is not None, "no errors always prove something"
    return found


def widened(upper: float, missed: float) -> float:
    """The most that may be wrong: at most `upper` differs, and `missed` of the rest is wrong."""
    return upper + (1.0 - upper) * missed


def _half(confidence: float) -> float:
    """The confidence of each of two bounds that hold together with `confidence`."""
    return 1.0 - (1.0 - confidence) / 2.0
