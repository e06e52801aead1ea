"""One confidence from several signals: a logistic regression on a feature's own outcomes.

Only names and numbers are stored, so scoring needs no library: a worker imports nothing for it, and
a stored decision can be replayed from its row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.json_text import JSON

Signals = Mapping[str, float | None]  # by name; None: this answer lacks the signal

MOST_Z = 8.0  # standard deviations: a signal further out counts as if it were this far


@dataclass(frozen=True)
class Term:
    """What one signal contributes."""

    mean: float  # of the outcomes it was fitted on; used where the signal is missing
    scale: float  # their standard deviation; never 0
    weight: float  # log odds per standard deviation
    missing: float = 0.0  # log odds added where the signal is missing


@dataclass(frozen=True)
class Combination:
    """The probability that an answer is right, given its signals."""

    intercept: float
    terms: Mapping[str, Term]

    def score(self, signals: Signals) -> float:
        """0 to 1; higher is more confident. Unknown signals are ignored."""
        log_odds = self.intercept
        for name, term in self.terms.items():
            value = signals.get(name)
            if value is None:
                log_odds += term.missing
            else:
                z = (value - term.mean) / term.scale
                log_odds += term.weight * max(-MOST_Z, min(MOST_Z, z))
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, log_odds))))

    def to_dict(self) -> dict[str, JSON]:
        return {
            "intercept": self.intercept,
            "terms": {name: vars(term) for name, term in self.terms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Combination":
        """The inverse of `to_dict`."""
        terms = {name: Term(**term) for name, term in data["terms"].items()}
        return cls(float(data["intercept"]), terms)


class CannotLearn(ValueError):
    """The outcomes do not allow learning; the message says why."""


def fit(signals: Sequence[Signals], right: Sequence[bool]) -> Combination:
    """The combination that best explains which answers were right. Raises CannotLearn.

    The penalty is scikit-learn's default on standardised signals. It matters with a few dozen
    outcomes and fades with hundreds.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if len(set(right)) < 2:
        kind = "right" if right and right[0] else "wrong"
        raise CannotLearn(f"all {len(right)} answers are {kind}, so nothing can be learned")
    names = sorted({name for one in signals for name, value in one.items() if value is not None})
    if not names:
        raise CannotLearn("no outcome has a signal")
    columns, shapes = [], {}
    for name in names:
        seen = [one.get(name) for one in signals]
        present = np.array([value for value in seen if value is not None], dtype=float)
        mean, scale = float(present.mean()), float(present.std()) or 1.0
        shapes[name] = (mean, scale)
        columns.append(
            [0.0 if v is None else max(-MOST_Z, min(MOST_Z, (v - mean) / scale)) for v in seen]
        )
        columns.append([1.0 if value is None else 0.0 for value in seen])
    model = LogisticRegression(max_iter=1000).fit(np.array(columns).T, np.array(right))
    weights = [float(weight) for weight in model.coef_[0]]
    return Combination(
        float(model.intercept_[0]),
        {
            name: Term(*shapes[name], weights[2 * index], weights[2 * index + 1])
            for index, name in enumerate(names)
        },
    )
