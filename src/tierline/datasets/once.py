"""Each input once, with the label that counts, whatever order its labels come in."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tierline.base.json_text import canonical_json

RANK = {"human": 0, "file": 1, "model": 2}
"""Whose word counts where one input has several: a person's about this very job before all."""

Row = Mapping[str, Any]


def each_once(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of equal inputs one row, with `disagreeing`: how many of the others say something else.

    Each row: `digest` of its input, `expected`, `source`, `representative` and `job_id`. Among the
    sources of the best rank the label that most give is taken, of equally many the first in the
    order of their JSON. In the order of the inputs' digests, so that the same rows make the same
    dataset.
    """
    of_input: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_input[row["digest"]].append(row)
    return [_chosen(of_input[digest]) for digest in sorted(of_input)]


def _chosen(rows: Sequence[Row]) -> dict[str, Any]:
    said = [canonical_json(row["expected"]) for row in rows]
    best = min(RANK[row["source"]] for row in rows)
    heard = Counter(
        told for row, told in zip(rows, said, strict=True) if RANK[row["source"]] == best
    )
    label = min(heard, key=lambda told: (-heard[told], told))
    chosen = min(
        (
            row
            for row, told in zip(rows, said, strict=True)
            if told == label and RANK[row["source"]] == best
        ),
        key=lambda row: (not row["representative"], str(row["job_id"] or "")),
    )
    return {**chosen, "disagreeing": sum(told != label for told in said)}
