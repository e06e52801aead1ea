"""Which outcomes are drawn to be compared, and which of those a bound may use together."""

from collections.abc import Mapping, Sequence
from typing import Any

from tierline.routing.first_tier import share_of

Row = Mapping[str, Any]


def drawn_at(job_id: object) -> float:
    """The share of outcomes, 0 to 1, from which on this one is among those drawn.

    It is the job's own, so that what is drawn at one share is drawn at every larger one.
    """
    return share_of("outcome", str(job_id))


def equally_drawn(rows: Sequence[Row]) -> list[Row]:
    """As many of them as can be had with one probability for each, by `inclusion` and `job_id`.

    While there was no calibration each was drawn, later a share: those of the larger probability
    are thinned to the smaller, or the others are left out, whichever leaves more. Looks at nothing
    that is compared.
    """
    found: list[Row] = []
    for inclusion in sorted({row["inclusion"] for row in rows}):
        kept = [
            row
            for row in rows
            if row["inclusion"] >= inclusion and drawn_at(row["job_id"]) < inclusion
        ]
        found = max(found, kept, key=len)
    return found


def representative(rows: Sequence[Row]) -> set[object]:
    """The `job_id` of the rows that stand for all traffic, with one probability for each.

    Each row: `job_id`, `inclusion` (null: nobody drew it), `failed` and `feature_version_id`. What
    failed a check of the first tier is always labelled: it counts as if drawn at the probability
    of the others of its version, and not at all where none of those was drawn.
    """
    drawn = [row for row in rows if row["inclusion"] is not None]
    at_least: dict[object, float] = {}
    for row in drawn:
        version = row["feature_version_id"]
        at_least[version] = min(at_least.get(version, 1.0), row["inclusion"])
    failed = [
        {"job_id": row["job_id"], "inclusion": at_least[row["feature_version_id"]]}
        for row in rows
        if row["failed"]
        and row["feature_version_id"] in at_least
        and drawn_at(row["job_id"]) < at_least[row["feature_version_id"]]
    ]
    return {row["job_id"] for row in equally_drawn([*drawn, *failed])}
