"""Keeps the sums that usage and reports read: adds what has ended since the last time, and counts
long queues.
"""

import time
from datetime import timedelta
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.ids import first_id_of
from tierline.storage.db import clock
from tierline.storage.db.repeat import PASSING
from tierline.storage.jobs.queue_reads import keep_counts
from tierline.storage.reports import roll_up
from tierline.storage.reports.floors import LOWEST

log = structlog.get_logger(__name__)

AT_ONCE = 5_000  # attempts that one transaction counts
COUNT_EVERY_S = 5.0  # between two counts of long queues
COUNT_SHARE = 20.0  # … or so many times what a count takes: they use at most 5% of a core
# After a job's end, a call that is not settled was cut: by then each process has reported its cost.
CUT_AFTER_S = 90_000.0
HISTORY_AT_ONCE = 2_000  # jobs of the time before there were sums, the same


def roll_up_due(pool: ConnectionPool[Any], until_s: float) -> int:
    """Count what can be counted, until `until_s` (monotonic); the next run goes on from there.

    Returns how many attempts were seen for the first time. Several processes may run it: one of
    them counts. A failure is logged, and what was not counted is read where it is.
    """
    seen = 0
    try:
        with pool.connection() as connection:
            keep_counts(connection, COUNT_EVERY_S, COUNT_SHARE)
            while True:
                count = roll_up.roll_up(connection, AT_ONCE)
                seen += count
                if count < AT_ONCE or time.monotonic() > until_s:
                    break
            _count_cut(connection, until_s)
            while time.monotonic() < until_s:
                if not roll_up.roll_up_history(connection, HISTORY_AT_ONCE):
                    break
    except PASSING as error:
        log.warning("not_rolled_up", error=type(error).__name__)
    return seen


def _count_cut(connection: Connection[Any], until_s: float) -> None:
    """Count calls that a crash cut: nobody settles them. Without this, each roll-up would look at
    them again, and reports would read their weeks.
    """
    before = clock.now(connection) - timedelta(seconds=CUT_AFTER_S)
    first, end = LOWEST, first_id_of(before, timedelta(0))
    while roll_up.roll_up_left(connection, first, end, before, AT_ONCE) == AT_ONCE:
        if time.monotonic() > until_s:
            break
