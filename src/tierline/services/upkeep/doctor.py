"""Looks for what does not fit together in the database. It changes nothing.

The tables of history have no foreign keys. This takes their place: it finds rows without the row
that they name, jobs in the wrong part of the table, sums that are not those of the rows, and
partitions that are missing or half removed.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.errors import QueryCanceled

from tierline.base.ids import first_id_of
from tierline.rules.partitions import ALERT_DAYS, LATE, days_ahead
from tierline.storage.db import clock
from tierline.storage.db.homes import Span
from tierline.storage.reports.floors import floor
from tierline.storage.upkeep import doctor, history, partitions

MOST_EXAMPLES = 100  # of one flaw; reading stops there
DAYS = 7.0
WITHIN_S = 60.0

SAYS = {
    "partitions_missing": "soon no job can be submitted: is a dispatcher running, and what does it"
    " log as partitions_run_out?",
    "detach_interrupted": "a partition was cut off from its table half: the sweep finishes it while"
    " TIERLINE_HISTORY_DAYS is set, or ALTER TABLE … DETACH PARTITION … FINALIZE",
    "removal_unfinished": "a week was cut off from its table and not dropped: the sweep drops it,"
    " or attaches it again, while TIERLINE_HISTORY_DAYS is set",
    "ended_among_live_jobs": "they ended more than 10 minutes ago: is a worker on `maintenance`"
    " running? Its sweep moves them",
    "jobs_in_two_parts": "a job is there twice: lists show it twice, and it may run again",
    "ended_without_end": "their status is final and they have no time of their end",
    "jobs_without_request": "their input is gone without a mark: they cannot be claimed or read",
    "jobs_without_account": "their account was deleted",
    "jobs_without_version": "their feature's version was deleted: they cannot be claimed or read",
    "jobs_without_batch": "their batch was deleted: it cannot be completed",
    "calls_of_another_account": "their cost counts for an account whose job it is not",
    "webhooks_without_job": "they cannot be delivered",
    "sums_differ": "usage and reports differ from the calls that they count",
}


@dataclass(frozen=True)
class Checked:
    """The result of one check."""

    flaw: str
    count: int | None  # at most MOST_EXAMPLES; None: it was not checked
    examples: list[str] = field(default_factory=list)
    why: str | None = None  # it was not checked

    @property
    def ok(self) -> bool:
        return self.count == 0

    @property
    def meaning(self) -> str:
        """What the flaw means, for people."""
        table = self.flaw.removesuffix("_without_job")
        return SAYS.get(self.flaw, f"rows of {table} whose job does not exist: nobody finds them")


def examine(
    connection: Connection[Any], days: float = DAYS, within_s: float = WITHIN_S
) -> Iterator[Checked]:
    """Check the jobs of the last `days`, and what does not depend on age, for `within_s` seconds.

    Checks that there was no time for are reported as not checked. Needs an autocommit connection.
    """
    until_s = time.monotonic() + within_s
    doctor.prepare(connection)
    yield from _partitions(connection)
    window = _window(connection, days)
    for flaw in doctor.STATEMENTS:
        left_s = until_s - time.monotonic()
        if flaw in doctor.SUMS and doctor.counts_history(connection):
            yield Checked(flaw, None, why="the sums do not have all of the history yet")
        elif left_s <= 0:
            yield _no_time(flaw, within_s)
        else:
            try:
                examples = doctor.find(connection, flaw, window, MOST_EXAMPLES, left_s)
            except QueryCanceled:
                yield _no_time(flaw, within_s)
            else:
                yield Checked(flaw, len(examples), examples)


def _no_time(flaw: str, within_s: float) -> Checked:
    return Checked(flaw, None, why=f"there was no time left of {within_s:g} s")


def _partitions(connection: Connection[Any]) -> Iterator[Checked]:
    now = clock.now(connection)
    missing, detaching = [], []
    for table, there in partitions.every(connection).items():
        left = days_ahead(there[-1].ends_at if there else None, now)
        if left < ALERT_DAYS:
            missing.append(f"{table}: {left:.1f} days left")
        for one, following in itertools.pairwise(there):
            if following.first is not None and one.end < following.first and one.ends_at > now:
                missing.append(f"{table}: none from {one.ends_at:%Y-%m-%d} on")
        detaching += [one.name for one in there if one.detaching]
    yield Checked("partitions_missing", len(missing), missing)
    yield Checked("detach_interrupted", len(detaching), detaching)
    left_over = history.detached(connection)
    yield Checked("removal_unfinished", len(left_over), left_over)


def _window(connection: Connection[Any], days: float) -> doctor.Window:
    """The last days, as far as their weeks are there. Sums are compared for whole UTC days."""
    now = clock.now(connection)
    since = now - timedelta(days=days)
    ended = partitions.every(connection).get("jobs_ended", [])
    if ended and ended[0].begins_at is not None:
        since = max(since, ended[0].begins_at)
    last = first_id_of(now, -LATE)
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    if day < since:
        day += timedelta(days=1)
    return doctor.Window(
        Span(first_id_of(since, timedelta(0)), last), day, now, Span(floor(connection, day), last)
    )
