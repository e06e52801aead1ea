"""The maintenance of each minute: move jobs to their part of the table, summarise how tiers fared,
compare outcomes with their references, and remove what is past its time: old rows, reusable keys
and content.
"""

import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.settings import settings
from tierline.services.batches.uploads import forget_uploads
from tierline.services.evidence.evaluation.evaluation_steps import forget_left_over
from tierline.services.evidence.evaluation.judgements import keep_judged
from tierline.services.evidence.watch.drift import Drift
from tierline.services.evidence.watch.promotions import watch
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.files.files import remove_expired
from tierline.services.money.budgets import settle_lost
from tierline.services.reports.roll_up import roll_up_due
from tierline.services.steering.see_tiers import see_tiers
from tierline.services.upkeep.history import History
from tierline.services.upkeep.partitions import analyze_due
from tierline.services.upkeep.retention import remove_due
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs.parts import move_ended, move_waiting
from tierline.storage.jobs.submissions import forget_idempotency_keys
from tierline.storage.money.budgets import forget_periods
from tierline.storage.money.reservations import forget_reservations
from tierline.storage.operations.operations import forget_ended

log = structlog.get_logger(__name__)

AT_ONCE = 1000
# Of settled calls, from their booking: by then the last of them has reported its cost.
RESERVATIONS_KEPT_S = 90_000.0
PERIODS_KEPT_DAYS = 100  # of budgets: three full months, for whoever asks in SQL
LOST_AFTER_S = 600.0  # until then, a call whose attempt has ended may still report its cost
ROLL_UP_S = 10.0  # for the sums of usage and reports
SEE_S = 5.0  # for the tiers' summary
MOVE_S = 5.0  # for jobs of before release 0.3.0, and of its processes
MOST_S = 30.0  # per round; the next one continues a minute later
_RUNNING = threading.Lock()  # held by the round that runs in this process


def sweep(pool: ConnectionPool[Any], drift: Drift, history: History | None = None) -> bool:
    """One round, in small statements that do not block others.

    Returns False, and does nothing, if a round is still running in this process. A second one would
    compute the same again, and take one more thread from the deliveries of webhooks.
    """
    if not _RUNNING.acquire(blocking=False):
        log.info("sweep_still_running")
        return False
    try:
        _sweep(pool, drift, history or History())
    finally:
        _RUNNING.release()
    return True


def _sweep(pool: ConnectionPool[Any], drift: Drift, history: History) -> None:
    roll_up_due(pool, time.monotonic() + ROLL_UP_S)
    see_tiers(pool, time.monotonic() + SEE_S)
    move_jobs(pool, time.monotonic() + MOVE_S)
    forgotten = 0
    with pool.connection() as connection:
        while True:
            count = forget_idempotency_keys(connection, settings().idempotency_s, AT_ONCE)
            forgotten += count
            if count < AT_ONCE:
                break
        while settle_lost(connection, LOST_AFTER_S, AT_ONCE) == AT_ONCE:
            pass
        while forget_reservations(connection, RESERVATIONS_KEPT_S, AT_ONCE) == AT_ONCE:
            pass
        while forget_periods(connection, PERIODS_KEPT_DAYS, AT_ONCE) == AT_ONCE:
            pass
        forget_uploads(connection)
        kept = timedelta(days=settings().operation_kept_days)
        while forget_ended(connection, kept, AT_ONCE) == AT_ONCE:
            pass
        while remove_expired(connection):
            pass
    # Before anything is removed that could still be compared.
    keep_judged(pool, time.monotonic() + MOST_S / 3)
    keep_references(pool, time.monotonic() + MOST_S / 2)
    watch(pool)
    drift.look_due(time.monotonic() + MOST_S)
    with pool.connection() as connection:
        forget_left_over(connection)
    removed = remove_due(pool, time.monotonic() + MOST_S)
    history.remove_old(pool, time.monotonic() + MOST_S)
    analyze_due(pool, MOST_S)
    if forgotten or removed:
        log.info("swept", idempotency_keys=forgotten, contents=removed)


def move_jobs(pool: ConnectionPool[Any], until_s: float) -> None:
    """Move waiting and ended jobs to their part, until the monotonic time `until_s`."""
    with pool.connection() as connection:
        for move in (move_ended, move_waiting):
            while (
                again_if_moved(partial(move, connection, AT_ONCE)) == AT_ONCE
                and time.monotonic() < until_s
            ):
                pass
