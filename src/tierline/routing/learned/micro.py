"""The micro tier: a classifier on embeddings that answers closed-set features inside the worker.

A linear head on a frozen embedding chooses the label. A separate model learns how far to trust it,
from answers to texts that the head was not fitted on. Some of those have labels that were withheld
from the head in turn: a head always names one of its labels, however strange the text, and only
strange examples can teach it to doubt (leave-out classes as outliers, Vyas et al. 2018).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.vectors import Vectors
from tierline.routing.learned.novelty import NEAREST, least_of
from tierline.routing.thresholds.combination import CannotLearn, Combination, Term, fit
from tierline.routing.thresholds.threshold_search import Scored

PENALTY = 20.0  # inverse strength, for unit vectors of a sentence model; by cross-validation
TOLERANCE = 3e-4  # of a fit's gradient: as accurate as a third of it, in three quarters of the time
FOLDS = 5  # over texts, for answers that the head was not fitted on
GROUPS = 7  # groups of labels, each withheld once
CONFUSABLE = 0.5  # share of the withheld labels, which represent kinds that were never seen
FEWEST_A_LABEL = 2
MOST_EXAMPLES = 4_000  # that a head stores to search for neighbours: 0.8 kB each

_OWN_CONFIDENCE = Combination(3.0, {"log_probability": Term(mean=0.0, scale=0.1, weight=1.0)})


@dataclass(frozen=True)
class Answer:
    """The micro tier's answer to one text, and its confidence."""

    label: str
    score: float  # 0..1
    signals: Mapping[str, float]
    novel: bool  # the text is unlike the training texts, so nothing is known about the answer


@dataclass(frozen=True)
class Head:
    """A linear classifier, and vectors of texts that it was fitted on."""

    labels: tuple[str, ...]
    weights: Vectors  # a row per label
    biases: Vectors
    examples: Vectors
    example_labels: tuple[int, ...]

    def look(self, vectors: Vectors) -> tuple[list[str], list[dict[str, float]]]:
        """For each vector the label, and the signals of its confidence."""
        import numpy as np

        logits = vectors @ self.weights.T + self.biases
        ordered = np.sort(logits, axis=1)
        top = ordered[:, -1]
        energy = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
        best = logits.argmax(axis=1)
        likeness = vectors @ self.examples.T
        count = min(NEAREST, likeness.shape[1])
        near = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        near_likeness = np.take_along_axis(likeness, near, axis=1)
        near_labels = np.array(self.example_labels)[near]
        signals = [
            {
                "log_probability": float(top[row] - energy[row]),
                "margin": float(top[row] - ordered[row, -2]),
                "energy": float(energy[row]),
                "likeness": float(near_likeness[row].mean()),
                "nearest": float(near_likeness[row].max()),
                "neighbours_agree": float((near_labels[row] == best[row]).mean()),
            }
            for row in range(len(vectors))
        ]
        return [self.labels[index] for index in best], signals


@dataclass(frozen=True)
class Micro:
    """A trained micro tier."""

    head: Head
    trust: Combination
    least_likeness: float | None = None  # to its examples; below it a text is novel; None: never

    def answer(self, vectors: Vectors) -> list[Answer]:
        """One answer per vector, in order."""
        labels, signals = self.head.look(vectors)
        return [
            Answer(label, self.trust.score(seen), seen, self.novel(seen))
            for label, seen in zip(labels, signals, strict=True)
        ]

    def novel(self, seen: Mapping[str, float]) -> bool:
        """Whether a text with these signals is unlike the training texts."""
        return self.least_likeness is not None and seen["likeness"] < self.least_likeness


@dataclass(frozen=True)
class Trained:
    """A micro tier, and its answers to its own texts when it was not fitted on them."""

    micro: Micro
    planned: tuple[Scored, ...]  # to plan a calibration on; without texts that were novel to it


def train(vectors: Vectors, labels: Sequence[str], *, withhold: bool = True) -> Trained:
    """A micro tier from labelled texts. Raises CannotLearn if there are too few.

    Without `withhold`, trust is learned without strange texts: the tier serves a little more, and
    more often serves texts of unknown kinds.
    """
    names = sorted(set(labels))
    fewest = min((sum(one == label for one in labels), label) for label in names)
    if len(names) < 2 or fewest[0] < FEWEST_A_LABEL:
        raise CannotLearn(
            f"a micro tier needs two labels, each with {FEWEST_A_LABEL} texts; "
            f"{fewest[1]!r} has {fewest[0]}"
        )
    signals: list[dict[str, float]] = []
    right: list[bool] = []
    for fitted, held_out in [
        *_by_text(len(labels)),
        *(_by_label(labels, names) if withhold else ()),
    ]:
        head = fit_head(vectors[fitted], [labels[index] for index in fitted])
        answers, seen = head.look(vectors[held_out])
        signals += seen
        right += [labels[index] == answer for index, answer in zip(held_out, answers, strict=True)]
    # If nothing went wrong, trust cannot be learned; only the head's own confidence is left.
    trust = fit(signals, right) if len(set(right)) == 2 else _OWN_CONFIDENCE
    held_out_signals = signals[: len(labels)]  # of heads that were fitted on other texts than these
    least = least_of([seen["likeness"] for seen in held_out_signals])
    micro = Micro(fit_head(vectors, labels), trust, least)
    planned = tuple(
        Scored(micro.trust.score(seen), not good)
        for seen, good in zip(held_out_signals, right[: len(labels)], strict=True)
        if not micro.novel(seen)
    )
    return Trained(micro, planned)


def strangers(
    micro: Micro,
    vectors: Vectors,
    labels: Sequence[str],
    tested: Vectors,
    tested_labels: Sequence[str],
) -> list[Scored]:
    """The confidence of `micro` in texts whose label its head was not fitted on.

    Each group of labels is withheld in turn from a head fitted on `vectors`, which then answers the
    texts of `tested` from that group. All its answers are wrong, so its confidence in them is what
    counts. A text that is novel to it is not answered, and counts with a confidence of 0.

    A future kind may be more similar to the known kinds than most of them are to each other, and
    few kinds will be new. So only the CONFUSABLE share of the labels is used: those with the
    highest mistaken confidence.
    """
    all_labels = sorted(set(labels))
    groups = _groups(all_labels)
    scored: dict[str, list[Scored]] = {}
    for group in range(groups):
        fitted = [i for i, label in enumerate(labels) if all_labels.index(label) % groups != group]
        strange = [
            index
            for index, label in enumerate(tested_labels)
            if label in all_labels and all_labels.index(label) % groups == group
        ]
        if not strange:
            continue
        head = fit_head(vectors[fitted], [labels[index] for index in fitted])
        _, seen = head.look(tested[strange])
        for index, one in zip(strange, seen, strict=True):
            score = 0.0 if micro.novel(one) else micro.trust.score(one)
            scored.setdefault(tested_labels[index], []).append(Scored(score, wrong=True))
    surest = sorted(
        scored, key=lambda label: -sum(one.score for one in scored[label]) / len(scored[label])
    )
    taken = surest[: math.ceil(len(surest) * CONFUSABLE)]
    return [one for label in taken for one in scored[label]]


def mixed(familiar: Sequence[Scored], strange: Sequence[Scored], share: float) -> list[Scored]:
    """`familiar`, plus so many of `strange` that they are `share` of the whole, taken evenly.

    A promise calibrated on this mixture holds while at most that share of the traffic is of unseen
    kinds. Raises ValueError for a share outside 0..1, or if strangers are needed and missing.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    count = round(len(familiar) * share / (1.0 - share))
    if count and not strange:
        raise ValueError("there are no strangers: at least four labels are needed")
    step = len(strange) / count if count else 0.0
    return [*familiar, *(strange[int(place * step) % len(strange)] for place in range(count))]


def fit_head(vectors: Vectors, labels: Sequence[str]) -> Head:
    """A linear classifier of these texts. Needs two labels."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    distinct = sorted(set(labels))
    numbers = [distinct.index(label) for label in labels]
    model = LogisticRegression(C=PENALTY, max_iter=300, tol=TOLERANCE).fit(vectors, numbers)
    weights, biases = model.coef_, model.intercept_
    if len(distinct) == 2:  # scikit-learn stores one row for two classes
        weights, biases = np.vstack([-weights, weights]) / 2, np.hstack([-biases, biases]) / 2
    step = max(1.0, len(numbers) / MOST_EXAMPLES)
    kept = [int(place * step) for place in range(min(len(numbers), MOST_EXAMPLES))]
    return Head(
        tuple(distinct),
        weights.astype(np.float32),
        biases.astype(np.float32),
        vectors[kept],
        tuple(numbers[place] for place in kept),
    )


def _by_text(count: int) -> list[tuple[list[int], list[int]]]:
    return [
        (
            [index for index in range(count) if index % FOLDS != fold],
            list(range(fold, count, FOLDS)),
        )
        for fold in range(min(FOLDS, count))
    ]


def _by_label(labels: Sequence[str], names: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Splits in which the head lacks a group of labels and answers the texts of that group."""
    groups = _groups(names)
    return [
        (
            [i for i, label in enumerate(labels) if names.index(label) % groups != group],
            [i for i, label in enumerate(labels) if names.index(label) % groups == group],
        )
        for group in range(groups)
    ]


def _groups(names: Sequence[str]) -> int:
    """How many groups of labels are withheld in turn, so that two labels always stay; 0: none."""
    groups = min(GROUPS, len(names) // 2)
    return groups if groups >= 2 else 0
