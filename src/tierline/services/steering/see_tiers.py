"""Summarises once a minute the recent attempts of each tier, for `tier_history`."""

import time
from typing import Any

import psycopg
import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.storage.db.repeat import PASSING
from tierline.storage.steering import tiers_seen

log = structlog.get_logger(__name__)

AT_ONCE = 5_000  # first calls that one step reads


def see_tiers(pool: ConnectionPool[Any], until_s: float) -> int:
    """Add the attempts that began or ended since the last run. Returns how many calls were read.

    Stops at `until_s` (monotonic) and continues at the next run. A failure is logged; the earlier
    figures stay in use.
    """
    seen = 0
    try:
        while time.monotonic() < until_s:
            with pool.connection() as connection:
                count = _step(connection)
            seen += count
            if count < AT_ONCE:
                break
    except PASSING as error:
        log.warning("tiers_not_seen", error=type(error).__name__)
    return seen


def _step(connection: Connection[Any]) -> int:
    try:
        count = tiers_seen.note_begun(connection, AT_ONCE)
    except psycopg.errors.QueryCanceled:  # the same calls would take too long the next time too
        log.warning("tiers_passed_over")
        tiers_seen.pass_over(connection)
        return 0
    tiers_seen.sum_up(connection)
    return count
