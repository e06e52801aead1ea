"""Moves jobs to the part of `jobs` where they belong, if the statement that changed them did not.

Jobs that wait since before release 0.3.0 are in `jobs_before`; those that a process of the release
before ends stay in `jobs_live`. A job is in one part at a time, also while it is moved.
"""

from typing import Any

from psycopg import Connection

# From the end of the queue, because the dispatcher takes jobs from its beginning. The order is that
# of the index of waiting jobs in jobs_before. Jobs with a hint out are claimed where they are.
WAITING = """
UPDATE jobs SET part = 1 WHERE part = 0 AND id = ANY(ARRAY(
    SELECT id FROM jobs WHERE part = 0 AND status = 'queued' AND hint_no IS NULL
    ORDER BY queue DESC, account_id DESC, feature_version_id DESC, tier DESC, run_after DESC,
        id DESC
    LIMIT %s FOR UPDATE SKIP LOCKED
))
"""

ENDED = """
UPDATE jobs SET part = 2 WHERE part = 1 AND id = ANY(ARRAY(
    SELECT id FROM jobs WHERE part = 1 AND completed_at IS NOT NULL LIMIT %s FOR UPDATE SKIP LOCKED
))
"""


def move_waiting(connection: Connection[Any], most: int) -> int:
    """Move waiting jobs from `jobs_before` to `jobs_live`. Returns how many, at most `most`."""
    return connection.execute(WAITING, (most,)).rowcount


def move_ended(connection: Connection[Any], most: int) -> int:
    """Move ended jobs from `jobs_live` to `jobs_ended`. Returns how many, at most `most`."""
    return connection.execute(ENDED, (most,)).rowcount
