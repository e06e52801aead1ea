"""Job floors: the lowest id of a job that waited or ran at a time. Reads of it begin there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import database_now, first_id_of
from tierline.rules.partitions import LATE

LOWEST = UUID(int=0)

# The lowest id of a job that has not ended. Processes give new jobs ids of at most a day ago, so
# only older ones are looked for: from the last such id on, because the entries of jobs that ended
# stay in the index beside a held snapshot.
LIVE_FROM = " UNION ALL ".join(
    f"(SELECT id FROM jobs WHERE {rows} AND id < %(recent)s ORDER BY id LIMIT 1)"
    for rows in (
        "part = 1 AND id >= %(mark)s",
        "part = 0 AND status = 'queued' AND hint_no IS NULL",
        "part = 0 AND status = 'queued' AND hint_no IS NOT NULL",
        "part = 0 AND status = 'in_progress'",
    )
)
LIVE_FROM = f"SELECT least(%(recent)s, (SELECT id FROM ({LIVE_FROM}) live ORDER BY id LIMIT 1))"

# The lowest one with an attempt that is not counted.
UNCOUNTED_FROM = """
SELECT least((SELECT job_id FROM sums_pending ORDER BY job_id LIMIT 1),
    (SELECT min(job_id::text COLLATE "C")::uuid FROM attempts WHERE seq >= %(rolled_to)s))
"""
KEEP_FLOOR = """
INSERT INTO job_floors (at, lowest_id) SELECT clock_timestamp(), %s
WHERE NOT EXISTS (SELECT FROM job_floors WHERE at > clock_timestamp() - interval '1 day')
"""
FORGET_FLOORS = "DELETE FROM job_floors WHERE at < clock_timestamp() - interval '3 years'"
FLOOR = "SELECT lowest_id FROM job_floors WHERE at <= %s ORDER BY at DESC LIMIT 1"


def floor(connection: Connection[Any], at: datetime) -> UUID:
    """No job that waited or ran at this time, or later, has a lower id."""
    row = connection.execute(FLOOR, (at,)).fetchone()
    lowest: UUID = LOWEST if row is None else row[0]
    return lowest


def keep_floor(connection: Connection[Any], mark: UUID | None, rolled_to: int) -> UUID:
    """Find where the jobs begin that still live, and store it once a day. Returns where the jobs
    begin that live or are not counted. `mark`: what it returned last; None: unknown.
    """
    recent = first_id_of(database_now(), LATE)
    parameters = {"recent": recent, "mark": mark or LOWEST, "rolled_to": rolled_to}
    row = connection.execute(LIVE_FROM, parameters).fetchone()
    assert row is not None, "an expression gives one row"
    live: UUID = row[0]
    (uncounted,) = connection.execute(UNCOUNTED_FROM, parameters).fetchone() or (None,)
    connection.execute(KEEP_FLOOR, (live,))
    connection.execute(FORGET_FLOORS)
    return live if uncounted is None else min(live, uncounted)
