"""Which outcomes are sampled for comparison, and which of those a bound may use together."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from tierline.routing.first_tier import share_of


class Sampled(Protocol):
    """An outcome that was sampled."""

    @property
    def job_id(self) -> object: ...

    @property
    def inclusion(self) -> float:
        """The probability with which it was sampled."""


class MaybeSampled(Protocol):
    """The answer of a job's first tier, which may have been sampled."""

    @property
    def job_id(self) -> object: ...

    @property
    def inclusion(self) -> float | None:
        """The probability with which it was sampled; None: it was not."""

    @property
    def failed(self) -> bool:
        """It failed a check of the first tier."""

    @property
    def feature_version_id(self) -> int: ...


Kind = TypeVar("Kind", bound=Sampled)


class _Drawn(NamedTuple):
    job_id: object
    inclusion: float


def drawn_at(job_id: object) -> float:
    """The smallest sampling share, 0 to 1, at which this outcome is sampled.

    It depends only on the job, so that what is sampled at one share is sampled at every larger one.
    """
    return share_of("outcome", str(job_id))


def equally_drawn(rows: Sequence[Kind]) -> list[Kind]:
    """The largest subset that has one sampling probability.

    Before a calibration every outcome is sampled, afterwards a share. Either outcomes of the larger
    probability are thinned to the smaller one, or the others are left out, whichever leaves more.
    The results of comparisons are not used.
    """
    largest: list[Kind] = []
    for inclusion in sorted({row.inclusion for row in rows}):
        kept = [
            row for row in rows if row.inclusion >= inclusion and drawn_at(row.job_id) < inclusion
        ]
        largest = max(largest, kept, key=len)
    return largest


def representative(rows: Sequence[MaybeSampled]) -> set[object]:
    """The `job_id` of the rows that represent all traffic, with one probability for each.

    An answer that failed a check of the first tier is always labelled. It counts as if sampled with
    the probability of the others of its version, and not at all if none of those was sampled.
    """
    drawn = [
        (_Drawn(row.job_id, row.inclusion), row.feature_version_id)
        for row in rows
        if row.inclusion is not None
    ]
    at_least: dict[int, float] = {}
    for row, version in drawn:
        at_least[version] = min(at_least.get(version, 1.0), row.inclusion)
    failed = [
        _Drawn(row.job_id, at_least[row.feature_version_id])
        for row in rows
        if row.failed
        and row.feature_version_id in at_least
        and drawn_at(row.job_id) < at_least[row.feature_version_id]
    ]
    return {row.job_id for row in equally_drawn([*(row for row, _ in drawn), *failed])}
