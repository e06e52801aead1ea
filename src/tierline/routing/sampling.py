"""Which outcomes are sampled for comparison, and which of those a bound may use together."""

from collections.abc import Mapping, Sequence
from typing import Any

from tierline.routing.first_tier import share_of

Row = Mapping[str, Any]


def drawn_at(job_id: object) -> float:
    """The smallest sampling share, 0 to 1, at which this outcome is sampled.

    It depends only on the job, so that what is sampled at one share is sampled at every larger one.
    """
    return share_of("outcome", str(job_id))


def equally_drawn(rows: Sequence[Row]) -> list[Row]:
    """The largest subset that has one sampling probability, by `inclusion` and `job_id`.

    Before a calibration every outcome is sampled, afterwards a share. Either outcomes of the larger
    probability are thinned to the smaller one, or the others are left out, whichever leaves more.
    The results of comparisons are not used.
    """
    largest: list[Row] = []
    for inclusion in sorted({row["inclusion"] for row in rows}):
        kept = [
            row
            for row in rows
            if row["inclusion"] >= inclusion and drawn_at(row["job_id"]) < inclusion
        ]
        largest = max(largest, kept, key=len)
    return largest


def representative(rows: Sequence[Row]) -> set[object]:
    """The `job_id` of the rows that represent all traffic, with one probability for each.

    Each row has `job_id`, `inclusion` (None: not sampled), `failed` and `feature_version_id`. An
    answer that failed a check of the first tier is always labelled. It counts as if sampled with
    the probability of the others of its version, and not at all if none of those was sampled.
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
