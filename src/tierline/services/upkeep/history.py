"""Removes the history of weeks that are older than `history_days`, as part of the sweep.

Off unless the setting is there. docs/operations.md says what keeps a week, and what stays of it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.errors import LockNotAvailable
from psycopg_pool import ConnectionPool

from tierline.base.settings import settings
from tierline.rules.partitions import Partition, first_id
from tierline.storage.db import clock
from tierline.storage.db.partitioned import PARENTS
from tierline.storage.reports import roll_up
from tierline.storage.upkeep import history, partitions

log = structlog.get_logger(__name__)

ROWS_AT_ONCE = 500
BATCHES_AT_ONCE = 20
ENDED = "jobs_ended"
LOOK_AGAIN_S = 3600.0  # at a week that something keeps

Week = tuple[UUID | None, UUID]  # the range of ids of a partition


@dataclass(frozen=True)
class PartitionState:
    """One partition, for people."""

    table: str
    name: str
    begins_at: datetime | None  # None: with the lowest id
    ends_at: datetime
    bytes: int
    kept_by: list[str] | None  # why it cannot be dropped; None: it is not wholly in the past


class History:
    """One per process, because it remembers which weeks are kept."""

    def __init__(self) -> None:
        self._kept: dict[Week, float] = {}  # and when to look again, monotonic

    def remove_old(self, pool: ConnectionPool[Any], until_s: float) -> int:
        """Remove old weeks until the monotonic time `until_s`; the next round continues.

        Returns the number of partitions dropped. Safe in several processes at once.
        """
        days = settings().history_days
        if days is None:
            return 0
        # A repeated submission finds its job for as long as its key is remembered.
        age = max(timedelta(days=days), timedelta(seconds=settings().idempotency_s))
        dropped = []
        with pool.connection() as connection:
            try:
                with history.alone(connection):
                    cutoff = clock.now(connection) - age
                    dropped += list(history.drop_detached(connection))
                    for table, one in self._removable(connection, cutoff, until_s):
                        history.detach(connection, table, one)
                        dropped += list(history.drop_detached(connection))
                    _remove_batches(connection, first_id(cutoff), until_s)
            except partitions.Busy:
                pass
            except LockNotAvailable:
                log.info("history_locked")  # the next round goes on from here
        if dropped:
            log.info("history_dropped", partitions=dropped)
        return len(dropped)

    def _removable(
        self, connection: Connection[Any], cutoff: datetime, until_s: float
    ) -> Iterator[tuple[str, Partition]]:
        """The partitions to detach and drop, each with its table, one at a time."""
        for week, members in _weeks_before(connection, cutoff):
            yield from ((table, one) for table, one in members if one.detaching)
            members_left = [(table, one) for table, one in members if not one.detaching]
            now_s = time.monotonic()
            if now_s >= until_s:
                return
            if not members_left or now_s < self._kept.get(week, now_s):
                continue
            _, some = members_left[0]
            reasons = history.kept_by(connection, some)
            if reasons == ["not_rolled_up"]:
                first, end = some.first or history.LOWEST, some.end
                left = partial(roll_up.roll_up_left, connection, first, end, cutoff)
                _in_batches(left, until_s)
                reasons = history.kept_by(connection, some)
            if reasons:
                self._kept[week] = now_s + LOOK_AGAIN_S
                names = [one.name for _, one in members_left]
                log.info("history_kept", partitions=names, reasons=reasons)
                continue
            if not _remove_jobs(connection, some, until_s):
                continue
            yield from ((table, one) for table, one in members_left if table == ENDED)
            if not history.has_jobs(connection, some) and _remove_naming(connection, some, until_s):
                yield from ((table, one) for table, one in members_left if table != ENDED)


def states(connection: Connection[Any]) -> list[PartitionState]:
    """Every partition, with what keeps it."""
    now = clock.now(connection)
    sizes = partitions.sizes(connection)
    reasons: dict[Week, list[str] | None] = {}
    listed = []
    for table, there in sorted(partitions.every(connection).items()):
        for one in there:
            week = (one.first, one.end)
            if week not in reasons:
                past = one.ends_at <= now
                reasons[week] = history.kept_by(connection, one) if past else None
            listed.append(
                PartitionState(
                    table,
                    one.name,
                    one.begins_at,
                    one.ends_at,
                    sizes.get(one.name, 0),
                    reasons[week],
                )
            )
    return listed


def _weeks_before(
    connection: Connection[Any], cutoff: datetime
) -> list[tuple[Week, list[tuple[str, Partition]]]]:
    """The partitions that end before `cutoff`, by week, the oldest first; in each as in PARENTS.

    Of weeks that end together, that of ended jobs comes first: the first partitions of the tables
    do not all have the same range.
    """
    weeks: dict[Week, list[tuple[str, Partition]]] = {}
    every = partitions.every(connection)
    for parent in PARENTS:
        for one in every.get(parent.table, []):
            if one.ends_at <= cutoff:
                weeks.setdefault((one.first, one.end), []).append((parent.table, one))
    return sorted(weeks.items(), key=lambda entry: entry[0][1])


def _remove_jobs(connection: Connection[Any], one: Partition, until_s: float) -> bool:
    """Remove the jobs of a week that are not in jobs_ended. True: in time."""
    return _in_batches(partial(history.remove_jobs, connection, one), until_s)


def _remove_naming(connection: Connection[Any], one: Partition, until_s: float) -> bool:
    """Remove the rows that name jobs of the week. True: in time."""
    return all(
        _in_batches(partial(history.remove_naming, connection, table, one), until_s)
        for table in history.NAMING
    )


def _in_batches(remove: Callable[[int], int], until_s: float) -> bool:
    """Call `remove` with the most rows it may remove, until none is left. False: not in time."""
    while remove(ROWS_AT_ONCE) == ROWS_AT_ONCE:
        if time.monotonic() >= until_s:
            return False
    return True


def _remove_batches(connection: Connection[Any], before: UUID, until_s: float) -> None:
    for batch_id in history.batches_without_jobs(connection, before, BATCHES_AT_ONCE):
        if not _in_batches(partial(history.remove_errors, connection, batch_id), until_s):
            return
        with connection.transaction():
            history.remove_batch(connection, batch_id)
