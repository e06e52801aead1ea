"""Which partitions a table of history has: one a week, by the time in its UUIDv7 ids.

Weeks begin on Monday 00:00 UTC. A year has 52 partitions: statements that cannot tell the partition
from their parameters lock each of them, so days would be too many.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tierline.base.ids import first_id_of, time_of

WEEK = timedelta(days=7)
AHEAD = timedelta(days=14)  # partitions reach at least this far into the future
ALERT_DAYS = 3.0  # fewer days than this ahead: somebody must look
LATE = timedelta(days=1)  # after a stop, ids this old still find a partition
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Partition:
    """One partition's range of ids: from `first` on, and below `end`."""

    name: str
    first: UUID | None  # None: from the lowest id on
    end: UUID
    detaching: bool = False  # a DETACH CONCURRENTLY was interrupted

    @property
    def begins_at(self) -> datetime | None:
        """The time of its first id; None: of the lowest one."""
        return None if self.first is None else time_of(self.first)

    @property
    def ends_at(self) -> datetime:
        """The time of the first id after it."""
        return time_of(self.end)


def week_of(at: datetime) -> datetime:
    """The beginning of the week of `at`."""
    return at - (at - _MONDAY) % WEEK


def next_week(at: datetime) -> datetime:
    """The beginning of the first week that begins after `at`."""
    return week_of(at) + WEEK


def name_of(table: str, begins_at: datetime) -> str:
    """The name of the table's partition that begins then: `calls_20261207`."""
    return f"{table}_{begins_at:%Y%m%d}"


def first_id(at: datetime) -> UUID:
    """The lower bound of the ids of `at`: 48 bits of Unix milliseconds, then zeros."""
    return first_id_of(at, timedelta(0))


def missing(table: str, last_end: datetime | None, now: datetime) -> list[Partition]:
    """The partitions to make, in order, so that the table has them for `AHEAD` from `now` on.

    `last_end` is where the last one ends; None: there is none. Weeks in which nothing ran get none.
    """
    begins_at = week_of(now - LATE)
    if last_end is not None:
        begins_at = max(begins_at, last_end)
    made = []
    while begins_at < now + AHEAD:
        ends_at = next_week(begins_at)
        made.append(Partition(name_of(table, begins_at), first_id(begins_at), first_id(ends_at)))
        begins_at = ends_at
    return made


def days_ahead(last_end: datetime | None, now: datetime) -> float:
    """For how many days from `now` on there are partitions; 0: new rows find none."""
    return 0.0 if last_end is None else max(0.0, (last_end - now) / timedelta(days=1))
