"""What a person should check in a dataset before blaming a model."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tierline.base.vectors import Vectors

FEWEST_A_LABEL = 10  # rows per label; a label with fewer cannot be learned or tested
FOLDS = 5

Kind = Literal["contradiction", "rare_label", "label_error"]


@dataclass(frozen=True)
class Doubt:
    """One thing to check."""

    kind: Kind
    rows: tuple[int, ...]  # positions
    message: str


def contradictions(
    groups: Sequence[int], labels: Sequence[str], disagreeing: Sequence[int]
) -> list[Doubt]:
    """Near duplicates with different labels, and rows whose exact input has other labels too;
    `disagreeing`: how many, by row.
    """
    of_group: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        of_group[group].append(place)
    doubts = []
    for places in of_group.values():
        counts = Counter(labels[place] for place in places)
        lost = sum(disagreeing[place] for place in places)
        if len(counts) == 1 and not lost:
            continue
        labelled = ", ".join(f"{label} ({count})" for label, count in counts.most_common())
        if lost:
            labelled += f"; {lost} other labels of the same input differ"
        what = "near duplicates labelled" if len(places) > 1 else "labelled"
        doubts.append(Doubt("contradiction", tuple(places), f"{what} {labelled}"))
    return doubts


def rare_labels(labels: Sequence[str], allowed: Sequence[str]) -> list[Doubt]:
    """Labels with too few rows, including labels that the feature allows and that have none."""
    counts = Counter(labels)
    return [
        Doubt(
            "rare_label",
            tuple(place for place, one in enumerate(labels) if one == label),
            f"{label} has {counts[label]} rows; at least {FEWEST_A_LABEL} are needed to learn from",
        )
        for label in sorted({*allowed, *counts})
        if counts[label] < FEWEST_A_LABEL
    ]


def too_rare(labels: Sequence[str], groups: Sequence[int]) -> list[str]:
    """Labels that occur in one group of rows only: errors there cannot be detected."""
    of_label: defaultdict[str, set[int]] = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        of_label[label].add(group)
    return sorted(label for label, in_groups in of_label.items() if len(in_groups) < 2)


def label_errors(vectors: Vectors, labels: Sequence[str], groups: Sequence[int]) -> list[Doubt]:
    """Rows for which a classifier predicts another label, the most certain first: confident
    learning (Northcutt, Jiang and Chuang 2021). The classifier is not fitted on the row or on its
    near duplicates. A row is listed if its probability of another label is at least the average of
    that label's rows, and no other label has more. Rows of labels that are `too_rare` are left out;
    with fewer than two other labels there is no result.
    """
    import numpy as np

    left_out = set(too_rare(labels, groups))
    places = [place for place, label in enumerate(labels) if label not in left_out]
    names = sorted({labels[place] for place in places})
    if len(names) < 2:
        return []
    numbers = np.array([names.index(labels[place]) for place in places])
    chances, trained = _cross_fitted(
        vectors[places], numbers, np.array([groups[place] for place in places])
    )
    own = [
        float(of_label.mean()) if len(of_label) else 1.0
        for label in range(len(names))
        for of_label in (chances[(numbers == label) & trained[:, label], label],)
    ]
    ranked: list[tuple[float, Doubt]] = []
    for at, row in enumerate(chances):
        number = numbers[at]
        sure = [label for label in range(len(names)) if row[label] >= own[label]]
        if not sure or not trained[at, number]:
            continue
        best = max(sure, key=lambda label: row[label])
        if best != number:
            message = (
                f"labelled {names[number]}, and {names[best]} at a chance of {row[best]:.2f} "
                f"against {row[number]:.2f}"
            )
            doubt = Doubt("label_error", (places[at],), message)
            ranked.append((float(row[best] - row[number]), doubt))
    return [doubt for _, doubt in sorted(ranked, key=lambda one: -one[0])]


def _cross_fitted(vectors: Vectors, numbers: Any, groups: Any) -> tuple[Any, Any]:
    """By row and label its probability, and whether the fold behind it had seen the label."""
    import warnings

    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    count = int(numbers.max()) + 1
    chances = np.zeros((len(numbers), count))
    trained = np.zeros((len(numbers), count), dtype=bool)
    folds = min(FOLDS, int(np.bincount(numbers).max()), len(set(groups.tolist())))
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer rows than folds
        for fitted, held_out in cut.split(vectors, numbers, groups):
            if len(set(numbers[fitted].tolist())) < 2:
                continue
            model = LogisticRegression(C=10.0, max_iter=300).fit(vectors[fitted], numbers[fitted])
            at = np.ix_(held_out, model.classes_)
            chances[at] = model.predict_proba(vectors[held_out])
            trained[at] = True
    return chances, trained


def counted(doubts: Sequence[Doubt]) -> Mapping[str, int]:
    """How many of each kind."""
    return Counter(doubt.kind for doubt in doubts)
