"""The micro tier: a classifier on embeddings that answers closed-set features inside the worker.

A linear head on a frozen embedding says which label; how far to trust it is learned apart, from
answers to texts that the head was not fitted on. Among those are texts of labels that were withheld
from it in turn: a head always names one of its labels, however strange the text, and only
examples of strangeness can teach it to doubt (leave-out classes as outliers, Vyas et al. 2018).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.vectors import Vectors
from tierline.routing.combination import CannotLearn, Combination, Term, fit
from tierline.routing.novelty import NEAREST, least_of
from tierline.routing.threshold_search import Scored

PENALTY = 20.0  # inverse strength, for unit vectors of a sentence model; by cross-validation
TOLERANCE = 3e-4  # of a fit's gradient: as accurate as a third of it, in three quarters of the time
FOLDS = 5  # over texts, for answers that the head was not fitted on
GROUPS = 7  # of labels, each withheld once
CONFUSABLE = 0.5  # of the withheld labels, which stand for kinds that were never seen
FEWEST_A_LABEL = 2
MOST_EXAMPLES = 4_000  # that a head keeps to look for neighbours among: 0.8 kB each

_OWN_WORD = Combination(3.0, {"log_probability": Term(mean=0.0, scale=0.1, weight=1.0)})


@dataclass(frozen=True)
class Answer:
    """What the micro tier says to one text, and how sure it is."""

    label: str
    score: float  # 0..1
    signals: Mapping[str, float]
    novel: bool  # its text is unlike those that were learned from: nothing is known of such


@dataclass(frozen=True)
class Head:
    """A linear classifier and texts that it was fitted on, as vectors."""

    labels: tuple[str, ...]
    weights: Vectors  # a row a label
    biases: Vectors
    examples: Vectors
    example_labels: tuple[int, ...]

    def look(self, vectors: Vectors) -> tuple[list[str], list[dict[str, float]]]:
        """For each vector the label, and the signals of how sure that is."""
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
    least_likeness: float | None = None  # to its examples, below which a text is novel; None: any

    def answer(self, vectors: Vectors) -> list[Answer]:
        """One answer a vector, in order."""
        labels, signals = self.head.look(vectors)
        return [
            Answer(label, self.trust.score(seen), seen, self.novel(seen))
            for label, seen in zip(labels, signals, strict=True)
        ]

    def novel(self, seen: Mapping[str, float]) -> bool:
        """Whether a text of these signals is unlike what was learned from."""
        return self.least_likeness is not None and seen["likeness"] < self.least_likeness


@dataclass(frozen=True)
class Trained:
    """A micro tier, and what it said to its own texts when it was not fitted on them."""

    micro: Micro
    planned: tuple[Scored, ...]  # to plan a calibration on; those that were not novel to it


def train(vectors: Vectors, labels: Sequence[str], *, withhold: bool = True) -> Trained:
    """A micro tier from labelled texts. Raises CannotLearn where there are too few.

    `withhold` False learns trust without strangers: a little more is served, and strangers more
    often with it.
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
    for fitted, asked in [*_by_text(len(labels)), *(_by_label(labels, names) if withhold else ())]:
        head = _head(vectors[fitted], [labels[index] for index in fitted])
        said, seen = head.look(vectors[asked])
        signals += seen
        right += [labels[index] == answer for index, answer in zip(asked, said, strict=True)]
    # Where nothing went wrong there is nothing to learn trust from but the head's own word.
    trust = fit(signals, right) if len(set(right)) == 2 else _OWN_WORD
    known = signals[: len(labels)]  # of heads that were fitted on other texts than these
    least = least_of([seen["likeness"] for seen in known])
    micro = Micro(_head(vectors, labels), trust, least)
    planned = tuple(
        Scored(micro.trust.score(seen), not good)
        for seen, good in zip(known, right[: len(labels)], strict=True)
        if not micro.novel(seen)
    )
    return Trained(micro, planned)


def strangers(
    micro: Micro,
    vectors: Vectors,
    labels: Sequence[str],
    asked: Vectors,
    asked_labels: Sequence[str],
) -> list[Scored]:
    """What the trust in `micro` makes of texts whose label its head was not fitted on.

    Each group of labels is withheld in turn from a head fitted on `vectors`, and `asked` of that
    group are put to it. All of its answers are wrong; how sure it is of them is what counts. A text
    that is novel to it is not answered, and counts as one that it is not sure of at all.

    A kind that comes one day may be more like the known ones than most of them are like each other,
    and the kinds that come are few: of the labels, CONFUSABLE of them are taken, those of whose
    texts it is surest when it should not be.
    """
    known = sorted(set(labels))
    groups = _groups(known)
    found: dict[str, list[Scored]] = {}
    for group in range(groups):
        fitted = [i for i, label in enumerate(labels) if known.index(label) % groups != group]
        strange = [
            index
            for index, label in enumerate(asked_labels)
            if label in known and known.index(label) % groups == group
        ]
        if not strange:
            continue
        head = _head(vectors[fitted], [labels[index] for index in fitted])
        _, seen = head.look(asked[strange])
        for index, one in zip(strange, seen, strict=True):
            score = 0.0 if micro.novel(one) else micro.trust.score(one)
            found.setdefault(asked_labels[index], []).append(Scored(score, wrong=True))
    surest = sorted(
        found, key=lambda label: -sum(one.score for one in found[label]) / len(found[label])
    )
    taken = surest[: math.ceil(len(surest) * CONFUSABLE)]
    return [one for label in taken for one in found[label]]


def mixed(known: Sequence[Scored], strange: Sequence[Scored], share: float) -> list[Scored]:
    """`known`, and of `strange` so many that they are `share` of the whole, taken evenly.

    A promise calibrated on the mixture holds while at most that share of the traffic is of a kind
    that was never seen. Raises ValueError for a share outside 0..1 or without strangers for it.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    wanted = round(len(known) * share / (1.0 - share))
    if wanted and not strange:
        raise ValueError("there are no strangers: at least four labels are needed")
    step = len(strange) / wanted if wanted else 0.0
    return [*known, *(strange[int(place * step) % len(strange)] for place in range(wanted))]


def _head(vectors: Vectors, labels: Sequence[str]) -> Head:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    known = sorted(set(labels))
    numbers = [known.index(label) for label in labels]
    model = LogisticRegression(C=PENALTY, max_iter=300, tol=TOLERANCE).fit(vectors, numbers)
    weights, biases = model.coef_, model.intercept_
    if len(known) == 2:  # scikit-learn keeps one row for two classes
        weights, biases = np.vstack([-weights, weights]) / 2, np.hstack([-biases, biases]) / 2
    step = max(1.0, len(numbers) / MOST_EXAMPLES)
    kept = [int(place * step) for place in range(min(len(numbers), MOST_EXAMPLES))]
    return Head(
        tuple(known),
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


def _by_label(labels: Sequence[str], known: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Heads that lack a group of labels, and the texts of that group."""
    groups = _groups(known)
    return [
        (
            [i for i, label in enumerate(labels) if known.index(label) % groups != group],
            [i for i, label in enumerate(labels) if known.index(label) % groups == group],
        )
        for group in range(groups)
    ]


def _groups(known: Sequence[str]) -> int:
    """How many groups of labels are withheld in turn, so that two labels always stay; 0: none."""
    groups = min(GROUPS, len(known) // 2)
    return groups if groups >= 2 else 0
