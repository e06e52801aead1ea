"""From outcomes to a promise: the score, the threshold and the test's result.

The outcomes are split in two by their inputs. Scores and the order of thresholds are made from one
part and tested on the other, so that nothing is tested on the data that it was made from.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.json_text import JSON
from tierline.routing.first_tier import share_of
from tierline.routing.learned.novelty import KnownInputs, known_from
from tierline.routing.thresholds.combination import CannotLearn, Combination, Signals, Term, fit
from tierline.routing.thresholds.search_chance import Chances, chances
from tierline.routing.thresholds.threshold_search import (
    Calibrated,
    Scored,
    confidence_of_attempt,
    grid,
    search_threshold,
)

FIT_SHARE = 0.25
"""The share of the outcomes for fitting the scores: a handful of coefficients need fewer outcomes
than the bound does."""


@dataclass(frozen=True)
class Outcome:
    """One answer with its truth, or with what stands for the truth."""

    fits_scores: bool  # else the promise is tested on it
    signals: Signals
    wrong: bool
    label: str | None = None  # the answer, for answers from a closed set
    vector: Any = None  # its input's embedding, or None


@dataclass(frozen=True)
class OfLabel:
    """The test's result for the answers with one label."""

    samples: int
    served: int
    errors: int  # among the served answers


@dataclass(frozen=True)
class Promise:
    """The result. `calibrated.chosen` is None if nothing can be promised."""

    combination: Combination
    learned: bool  # from several signals; otherwise it is one signal, and `why_not` says why
    why_not: str | None
    fitted: int  # outcomes that the scores were fitted on
    tested_at: float  # the confidence of the test, as earlier attempts leave it
    calibrated: Calibrated
    by_label: Mapping[str, OfLabel]
    known_inputs: KnownInputs | None = None  # inputs like these are covered; None: any input is
    novel: int = 0  # outcomes left out of its test because it does not cover their inputs

    def to_dict(self) -> dict[str, JSON]:
        """What is stored of it besides the columns of its row."""
        return {
            "combination": self.combination.to_dict(),
            "learned": self.learned,
            "why_not": self.why_not,
            "fitted": self.fitted,
            "tested_at": self.tested_at,
            "least_likeness": None if self.known_inputs is None else self.known_inputs.least,
            "novel": self.novel,
            "tested": [vars(one) for one in self.calibrated.tested],
            "by_label": {name: vars(one) for name, one in self.by_label.items()},
        }


def promise(
    outcomes: Sequence[Outcome],
    signal: str,
    max_error: float,
    confidence: float,
    attempt: int = 1,
) -> Promise:
    """The cheapest threshold at which at most `max_error` of what is served is wrong.

    `signal` ranks the answers if too little is known to learn a combination. `attempt` counts the
    calibrations of this promise. If every outcome has its input's embedding, the promise covers
    inputs like those that the scores were made from, and the others are left out of its test.
    Raises ValueError for a bad rate.
    """
    made_from = [one for one in outcomes if one.fits_scores]
    tested = [one for one in outcomes if not one.fits_scores]
    known_inputs = _known(made_from) if all(one.vector is not None for one in outcomes) else None
    count = len(tested)
    if known_inputs is not None:
        tested = _alike(known_inputs, tested)
    combination, why_not = _score(made_from, signal)
    planned = _scored(combination, made_from)
    tested_at = confidence_of_attempt(attempt, confidence)
    calibrated = search_threshold(
        _scored(combination, tested),
        grid([one.score for one in planned]),
        max_error,
        tested_at,
        planned,
    )
    return Promise(
        combination,
        why_not is None,
        why_not,
        len(made_from),
        tested_at,
        calibrated,
        _by_label(combination, tested, calibrated),
        known_inputs,
        count - len(tested),
    )


def prospects(
    outcomes: Sequence[Outcome],
    signal: str,
    max_error: float,
    confidence: float,
    attempt: int = 1,
) -> Chances | None:
    """The chance that `promise` finds a threshold, without looking at what it would test.

    The arguments are those of `promise`. `tested` counts the outcomes that the test needs: see
    `outcomes_for`. None if too few outcomes are known.
    """
    made_from = [one for one in outcomes if one.fits_scores]
    if not made_from:
        return None
    combination, _ = _score(made_from, signal)
    return chances(
        _scored(combination, made_from),
        len(outcomes) - len(made_from),
        max_error,
        confidence_of_attempt(attempt, confidence),
    )


def outcomes_for(tested: int) -> int:
    """How many outcomes `promise` needs, so that it tests so many."""
    return math.ceil(tested / (1.0 - FIT_SHARE))


def _known(outcomes: Sequence[Outcome]) -> KnownInputs | None:
    if not outcomes:
        return None
    import numpy as np

    return known_from(np.stack([one.vector for one in outcomes]))


def _alike(known_inputs: KnownInputs, outcomes: Sequence[Outcome]) -> list[Outcome]:
    if not outcomes:
        return []
    import numpy as np

    likenesses = known_inputs.likeness(np.stack([one.vector for one in outcomes]))
    return [
        one for one, like in zip(outcomes, likenesses, strict=True) if like >= known_inputs.least
    ]


def single_signal(signal: str) -> Combination:
    """A score that ranks by one signal alone, 0 to 1. Without the signal it is 1/2."""
    return Combination(0.0, {signal: Term(mean=0.5, scale=1.0, weight=8.0)})


def fits_scores(input_digest: bytes) -> bool:
    """Whether the scores are fitted on outcomes of this input. Equal inputs are on one side."""
    return _fits(input_digest.hex())


def fits_scores_by_job(job_id: object) -> bool:
    """The same for an outcome whose side is not stored: the release before stored none."""
    return _fits(str(job_id))


def _fits(key: str) -> bool:
    return share_of("calibration", key) < FIT_SHARE


def _score(outcomes: Sequence[Outcome], signal: str) -> tuple[Combination, str | None]:
    try:
        return fit([one.signals for one in outcomes], [not one.wrong for one in outcomes]), None
    except CannotLearn as error:
        return single_signal(signal), str(error)


def _scored(combination: Combination, outcomes: Iterable[Outcome]) -> list[Scored]:
    return [Scored(combination.score(one.signals), one.wrong) for one in outcomes]


def _by_label(
    combination: Combination, outcomes: Iterable[Outcome], calibrated: Calibrated
) -> dict[str, OfLabel]:
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in outcomes:
        if one.label is None:
            continue
        served = calibrated.chosen is not None and (
            combination.score(one.signals) >= calibrated.chosen.threshold
        )
        count = counts[one.label]
        count[0] += 1
        count[1] += served
        count[2] += served and one.wrong
    return {label: OfLabel(*count) for label, count in sorted(counts.items())}
