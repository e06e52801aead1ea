"""What a person should look at in a dataset before a model is blamed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tierline.vectors import Vectors

FEWEST_A_LABEL = 10  # rows: of a label with fewer nothing is learned, and nothing tested
FOLDS = 5

Kind = Literal["contradiction", "rare_label", "label_error"]


@dataclass(frozen=True)
class Doubt:
    """One thing to look at."""

    kind: Kind
    rows: tuple[int, ...]  # places
    message: str


def contradictions(groups: Sequence[int], labels: Sequence[str]) -> list[Doubt]:
    """Rows that are alike and say different things."""
    of_group: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        of_group[group].append(place)
    found = []
    for places in of_group.values():
        said = Counter(labels[place] for place in places)
        if len(said) > 1:
            told = ", ".join(f"{label} ({count})" for label, count in said.most_common())
            found.append(Doubt("contradiction", tuple(places), f"alike, and labelled {told}"))
    return found


def rare_labels(labels: Sequence[str], known: Sequence[str]) -> list[Doubt]:
    """Labels with too few rows, those that the feature allows and that have none included."""
    counts = Counter(labels)
    return [
        Doubt(
            "rare_label",
            tuple(place for place, one in enumerate(labels) if one == label),
            f"{label} has {counts[label]} rows; {FEWEST_A_LABEL} are the least to learn from",
        )
        for label in sorted({*known, *counts})
        if counts[label] < FEWEST_A_LABEL
    ]


def label_errors(vectors: Vectors, labels: Sequence[str]) -> list[Doubt]:
    """Rows whose label a classifier that was not fitted on them holds to be another, the surest
    first: confident learning (Northcutt, Jiang and Chuang 2021). A row is doubted when its chance
    of another label is at least what rows of that label have on average, and no other label beats
    it. Empty where there are too few labels or rows to fit folds.
    """
    import numpy as np

    names = sorted(set(labels))
    numbers = np.array([names.index(label) for label in labels])
    fewest = int(np.bincount(numbers, minlength=len(names)).min()) if names else 0
    if len(names) < 2 or fewest < 2:
        return []
    chances = _cross_fitted(vectors, numbers, min(FOLDS, fewest))
    own = [float(chances[numbers == label, label].mean()) for label in range(len(names))]
    found: list[tuple[float, Doubt]] = []
    for place, row in enumerate(chances):
        sure = [label for label in range(len(names)) if row[label] >= own[label]]
        if not sure:
            continue
        best = max(sure, key=lambda label: row[label])
        if best != numbers[place]:
            gap = float(row[best] - row[numbers[place]])
            message = (
                f"labelled {names[numbers[place]]}, and {names[best]} at a chance of "
                f"{row[best]:.2f} against {row[numbers[place]]:.2f}"
            )
            found.append((gap, Doubt("label_error", (place,), message)))
    return [doubt for _, doubt in sorted(found, key=lambda one: -one[0])]


def _cross_fitted(vectors: Vectors, numbers: Any, folds: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = LogisticRegression(C=10.0, max_iter=300)
    cut = StratifiedKFold(folds, shuffle=True, random_state=0)
    return cross_val_predict(model, vectors, numbers, cv=cut, method="predict_proba")


def counted(doubts: Sequence[Doubt]) -> Mapping[str, int]:
    """How many of each kind."""
    return Counter(doubt.kind for doubt in doubts)
