"""Keeps partitions ahead of the present, for the tables that are partitioned by time.

Without a partition for its time, no job can be submitted: so they are made 14 days ahead, and few
days left are reported.
"""

from typing import Any

import structlog
from psycopg import Connection
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg_pool import ConnectionPool

from tierline.rules.partitions import ALERT_DAYS, days_ahead
from tierline.storage.db import clock
from tierline.storage.upkeep import partitions

log = structlog.get_logger(__name__)


def keep_ahead(pool: ConnectionPool[Any]) -> None:
    """Make the partitions that are missing. What somebody has locked is left to the next round."""
    with pool.connection() as connection:
        made = partitions.make_ahead(connection)
        left = days_left(connection)
    if made:
        log.info("partitions_made", names=made)
    for table, days in left.items():
        if days < ALERT_DAYS:
            log.warning("partitions_run_out", table=table, days=round(days, 1))


def analyze_due(pool: ConnectionPool[Any], within_s: float) -> None:
    """Once a day, gather the planner's statistics of each partitioned table; one at a time."""
    try:
        with pool.connection() as connection:
            table = partitions.analyze_one(connection, within_s)
    except LockNotAvailable:
        return  # the next round tries again
    except QueryCanceled:
        log.warning("not_analyzed_in_time", within_s=within_s)
        return
    if table is not None:
        log.info("analyzed", table=table)


def days_left(connection: Connection[Any]) -> dict[str, float]:
    """By partitioned table, for how many days from now on it has partitions."""
    now = clock.now(connection)
    return {table: days_ahead(end, now) for table, end in partitions.last_ends(connection).items()}


def partition_problems(connection: Connection[Any]) -> dict[str, str]:
    """By `partitions:TABLE`, the tables whose partitions soon end."""
    return {
        f"partitions:{table}": f"they end in {days:.1f} days, after which no job can be submitted:"
        " is a dispatcher running, and what does it log as partitions_run_out?"
        for table, days in days_left(connection).items()
        if days < ALERT_DAYS
    }
