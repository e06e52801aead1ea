"""Routing before any call: how likely the small model is to get a request right, from its text.

Trained from a feature's labelled outcomes on plain signals of the text and, where there is one, its
embedding: a direction in which requests get harder, and how the most alike requests went.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.vectors import Vectors
from tierline.routing.combination import CannotLearn, Combination, Signals, fit

_PENALTIES = (0.3, 3.0, 30.0)  # inverse strengths, the best by cross-validation
_FOLDS = 3
NEIGHBOURS = 20
MOST_EXAMPLES = 4_000  # requests to look for neighbours among: 1.5 kB each


def text_signals(text: str) -> dict[str, float]:
    """What is seen of a text at a glance; each grows with how much there is to go wrong."""
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

    direction: Vectors  # log odds of being answered right, along it
    examples: Vectors  # a row each, of length 1
    right: Vectors  # 1 or 0: how those went

    def signals(self, vectors: Vectors) -> list[dict[str, float]]:
        """For each vector, what its place says."""
        along = vectors @ self.direction
        shares = _neighbours(vectors @ self.examples.T, self.right)
        return [
            {"embedding": float(a), "neighbours": float(b)}
            for a, b in zip(along, shares, strict=True)
        ]


@dataclass(frozen=True)
class Complexity:
    """The chance that the small model is right, before it is asked."""

    combined: Combination  # of text_signals, and of what Meaning says where there is one
    meaning: Meaning | None = None

    def scores(self, signals: Sequence[Signals], vectors: Vectors | None = None) -> list[float]:
        """0 to 1 each, higher is surer. Raises ValueError where embeddings are needed."""
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
    """The router that tells best, by these outcomes, what was right. Raises CannotLearn.

    How much to believe the embeddings is learned from what they say of requests that they were not
    fitted on, or they would drown the rest.
    """
    if vectors is None:
        return Complexity(fit(signals, right))
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(right.count(True), right.count(False)) < _FOLDS:
        raise CannotLearn(f"fewer than {_FOLDS} answers are right, or fewer than that are wrong")
    truth = np.array(right)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    tried: list[tuple[float, float, Any]] = []
    for penalty in _PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=1000)
        held_out = cross_val_predict(model, vectors, truth, cv=folds, method="decision_function")
        loss = float(np.logaddexp(0.0, np.where(truth, -held_out, held_out)).mean())
        tried.append((loss, penalty, held_out))
    _, penalty, held_out = min(tried, key=lambda one: one[0])
    whole = LogisticRegression(C=penalty, max_iter=1000).fit(vectors, truth)
    kept = np.linspace(0, len(right) - 1, min(len(right), most_examples)).astype(int)
    meaning = Meaning(
        whole.coef_[0].astype(np.float32), vectors[kept], truth[kept].astype(np.float32)
    )
    likeness = vectors @ meaning.examples.T
    likeness[kept, np.arange(len(kept))] = -np.inf  # nobody is a neighbour of its own
    shares = _neighbours(likeness, meaning.right)
    along = held_out - float(whole.intercept_[0])
    together = [
        {**one, "embedding": float(a), "neighbours": float(b)}
        for one, a, b in zip(signals, along, shares, strict=True)
    ]
    return Complexity(fit(together, right), meaning)


def _neighbours(likeness: Vectors, right: Vectors) -> Vectors:
    """For each row, the share of its nearest that went right, the nearer counting more."""
    import numpy as np

    count = min(NEIGHBOURS, likeness.shape[1] - 1) or 1
    near = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
    closeness = np.take_along_axis(likeness, near, axis=1)
    weights = 1.0 / np.sqrt(np.maximum(2.0 - 2.0 * closeness, 1e-6))  # of their distance
    shares: Vectors = (weights * right[near]).sum(axis=1) / weights.sum(axis=1)
    return shares
