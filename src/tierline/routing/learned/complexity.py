"""Routing before any call: the probability that the small model answers a request correctly.

It is trained from a feature's labelled outcomes, on simple signals of the text and, if there is
one, its embedding. The embedding gives two signals: a direction in which requests get harder, and
the results of the most similar requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.vectors import Vectors
from tierline.routing.learned.logistic import Logistic, fit_logistic
from tierline.routing.thresholds.combination import CannotLearn, Combination, Signals, fit

_PENALTIES = (0.3, 3.0, 30.0)  # inverse strengths; cross-validation chooses one
_FOLDS = 3
NEIGHBOURS = 20
MOST_EXAMPLES = 4_000  # requests that are searched for neighbours: 1.5 kB each


def text_signals(text: str) -> dict[str, float]:
    """Simple signals of a text. Each grows with what can make the text difficult."""
    words = text.split()
    size = max(len(text), 1)
    return {
        "log_length": math.log1p(len(text)),
        "lines": math.log1p(text.count("\n")),
        "word_length": sum(map(len, words)) / max(len(words), 1),
        "distinct_words": len({word.lower() for word in words}) / max(len(words), 1),
        "digits": sum(map(str.isdigit, text)) / size,
        "capitals": sum(map(str.isupper, text)) / size,
        "marks": sum(not (c.isalnum() or c.isspace()) for c in text) / size,
        "not_ascii": sum(ord(c) > 127 for c in text) / size,
        "questions": math.log1p(text.count("?")),
    }


@dataclass(frozen=True)
class Meaning:
    """What was learned from embeddings."""

    direction: Vectors  # the log odds of a right answer grow along it
    examples: Vectors  # one per row, of length 1
    right: Vectors  # 1 or 0: whether the example was answered right

    def signals(self, vectors: Vectors) -> list[dict[str, float]]:
        """For each vector, the signals of its position."""
        along = vectors @ self.direction
        shares = _neighbours(vectors @ self.examples.T, self.right)
        return [
            {"embedding": float(a), "neighbours": float(b)}
            for a, b in zip(along, shares, strict=True)
        ]


@dataclass(frozen=True)
class Complexity:
    """The probability that the small model is right, before it is called."""

    combined: Combination  # of text_signals, and of Meaning's signals if there is one
    meaning: Meaning | None = None

    def scores(self, signals: Sequence[Signals], vectors: Vectors | None = None) -> list[float]:
        """0 to 1 each; higher is more confident. Raises ValueError if embeddings are missing."""
        if self.meaning is None:
            return [self.combined.score(one) for one in signals]
        if vectors is None:
            raise ValueError("this router was trained on embeddings and needs them")
        return [
            self.combined.score({**one, **more})
            for one, more in zip(signals, self.meaning.signals(vectors), strict=True)
        ]


def train(
    signals: Sequence[Signals],
    right: Sequence[bool],
    vectors: Vectors | None = None,
    most_examples: int = MOST_EXAMPLES,
) -> Complexity:
    """The router that best predicts which of these outcomes were right. Raises CannotLearn.

    The weight of the embeddings is learned from predictions for requests that they were not fitted
    on. Otherwise they would outweigh everything else.
    """
    if vectors is None:
        return Complexity(fit(signals, right))
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    if min(right.count(True), right.count(False)) < _FOLDS:
        raise CannotLearn(f"fewer than {_FOLDS} answers are right, or fewer than that are wrong")
    truth = np.array(right)
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(vectors, truth))
    tried: list[tuple[float, float, Any]] = []
    fitted: dict[int, Logistic] = {}  # by fold, with the penalty before
    for penalty in _PENALTIES:
        held_out = np.zeros(len(truth), dtype=np.float32)
        for fold, (others, held_out_rows) in enumerate(folds):
            fitted[fold] = fit_logistic(vectors[others], truth[others], penalty, fitted.get(fold))
            held_out[held_out_rows] = fitted[fold].log_odds(vectors[held_out_rows])
        loss = float(np.logaddexp(0.0, np.where(truth, -held_out, held_out)).mean())
        tried.append((loss, penalty, held_out))
    _, penalty, held_out = min(tried, key=lambda one: one[0])
    whole = fit_logistic(vectors, truth, penalty, fitted[0])
    example_rows = np.linspace(0, len(right) - 1, min(len(right), most_examples)).astype(int)
    meaning = Meaning(
        whole.weights.astype(np.float32),
        vectors[example_rows],
        truth[example_rows].astype(np.float32),
    )
    likeness = vectors @ meaning.examples.T
    # A request is not its own neighbour.
    likeness[example_rows, np.arange(len(example_rows))] = -np.inf
    shares = _neighbours(likeness, meaning.right)
    along = held_out - whole.intercept
    together = [
        {**one, "embedding": float(a), "neighbours": float(b)}
        for one, a, b in zip(signals, along, shares, strict=True)
    ]
    return Complexity(fit(together, right), meaning)


def _neighbours(likeness: Vectors, right: Vectors) -> Vectors:
    """For each row, the share of its nearest that were right; nearer ones weigh more."""
    import numpy as np

    count = min(NEIGHBOURS, likeness.shape[1] - 1) or 1
    near = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
    closeness = np.take_along_axis(likeness, near, axis=1)
    weights = 1.0 / np.sqrt(np.maximum(2.0 - 2.0 * closeness, 1e-6))  # of their distance
    shares: Vectors = (weights * right[near]).sum(axis=1) / weights.sum(axis=1)
    return shares
