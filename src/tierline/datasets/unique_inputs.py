"""Reduces repeated inputs to one row each, with the label that counts, whatever their order."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from tierline.base.json_text import JSON, canonical_json

RANK = {"human": 0, "file": 1, "model": 2}
"""The precedence of label sources. A person's label for the job itself comes first."""


class LabelledInput(TypedDict):
    """An input with a label."""

    input: JSON
    expected: JSON
    digest: str  # of the input
    source: str  # human, model or file
    said_by: str | None  # the model that gave the label
    representative: bool  # sampled independently of the answer
    job_id: UUID | None


class UniqueInput(LabelledInput):
    """An input with the label that counts."""

    disagreeing: int  # other labels of the input that differ


def one_per_input(rows: Sequence[LabelledInput]) -> list[UniqueInput]:
    """One row for equal inputs, with `disagreeing`: how many of the others have another label.

    Among the sources of the best rank, the most frequent label is taken; among equally frequent
    ones, the first in the order of their JSON. The result is in the order of the inputs' digests,
    so that the same rows make the same dataset.
    """
    of_input: defaultdict[str, list[LabelledInput]] = defaultdict(list)
    for row in rows:
        of_input[row["digest"]].append(row)
    return [_chosen(of_input[digest]) for digest in sorted(of_input)]


def _chosen(rows: Sequence[LabelledInput]) -> UniqueInput:
    labels = [canonical_json(row["expected"]) for row in rows]
    best = min(RANK[row["source"]] for row in rows)
    counts = Counter(
        label for row, label in zip(rows, labels, strict=True) if RANK[row["source"]] == best
    )
    chosen_label = min(counts, key=lambda one: (-counts[one], one))
    chosen = min(
        (
            row
            for row, label in zip(rows, labels, strict=True)
            if label == chosen_label and RANK[row["source"]] == best
        ),
        key=lambda row: (not row["representative"], str(row["job_id"] or "")),
    )
    return {**chosen, "disagreeing": sum(label != chosen_label for label in labels)}
