"""Counts an account's waiting jobs from the rows, by their numbers.

A counter row would serialise all submissions, because each one updates it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, Connection

from tierline.rules.queues import JOBS

BACKLOG_LOCK = 0x7E21_0006  # the first half of the advisory lock's key; the second is the account

# One lane at a time and in the index's order, so that only that part of the index is read, and only
# up to `most`. The jobs of shadows and judges are not the account's own, so they do not count.
COUNT = """
SELECT (
    SELECT count(*) FROM unnest(%(queues)s::text[]) lane (queue)
    CROSS JOIN LATERAL (
        SELECT FROM jobs j
        WHERE j.part < 2 AND j.queue = lane.queue AND j.account_id = %(account_id)s
            AND j.status = 'queued' AND j.hint_no IS NULL AND j.shadow_of IS NULL
        ORDER BY j.feature_version_id, j.tier, j.run_after LIMIT %(most)s
    ) waiting
) + (
    SELECT count(*) FROM jobs
    WHERE part < 2 AND queue = ANY(%(queues)s) AND status = 'queued' AND hint_no IS NOT NULL
        AND account_id = %(account_id)s AND shadow_of IS NULL
)
"""

# The same from a mark on. Jobs from before release 0.3.0 are read by the queues' indexes.
_WAITS = "status = 'queued' AND queue = ANY(%(queues)s) AND shadow_of IS NULL"
COUNT_FROM_MARK = f"""
SELECT (
    SELECT count(*) FROM (
        SELECT FROM jobs WHERE part = 1 AND account_id = %(account_id)s AND seq > %(seq)s
            AND {_WAITS}
        ORDER BY seq LIMIT %(most)s
    ) waiting
) + (
    SELECT count(*) FROM jobs WHERE part = 1 AND id = ANY(%(old)s) AND {_WAITS}
) + (
    SELECT count(*) FROM unnest(%(queues)s::text[]) lane (queue)
    CROSS JOIN LATERAL (
        SELECT FROM jobs j
        WHERE j.part = 0 AND j.queue = lane.queue AND j.account_id = %(account_id)s
            AND j.status = 'queued' AND j.hint_no IS NULL AND j.shadow_of IS NULL
        ORDER BY j.feature_version_id, j.tier, j.run_after LIMIT %(most)s
    ) waiting
) + (
    SELECT count(*) FROM jobs
    WHERE part = 0 AND queue = ANY(%(queues)s) AND status = 'queued' AND hint_no IS NOT NULL
        AND account_id = %(account_id)s AND shadow_of IS NULL
)
"""

# Jobs from before 0.3.0 keep their numbers when they move into jobs_live.
_LIVE_BEFORE = " OR ".join(
    f"EXISTS (SELECT FROM jobs WHERE part = 0 AND {live})"
    for live in (
        "status = 'queued' AND hint_no IS NULL",
        "status = 'queued' AND hint_no IS NOT NULL",
        "status = 'in_progress'",
    )
)
LIVE = f"""
WITH live AS MATERIALIZED (
    (SELECT seq, id FROM jobs WHERE part = 1 AND account_id = %(account_id)s AND seq > %(seq)s
        AND completed_at IS NULL ORDER BY seq LIMIT %(most)s)
    UNION ALL
    SELECT seq, id FROM jobs WHERE part = 1 AND id = ANY(%(old)s) AND completed_at IS NULL
)
SELECT (SELECT last_value - (NOT is_called)::int FROM jobs_seq_seq), {_LIVE_BEFORE},
    ARRAY(SELECT seq FROM live ORDER BY seq), ARRAY(SELECT id FROM live ORDER BY seq)
"""
MOST_OLD = 500

LOCK = "SELECT pg_advisory_xact_lock(%s, hashint8(%s))"
# What follows in the transaction finds its rows by the indexes that have their order. A plan that
# was made while the table was nearly empty would else read all entries of another index later.
LOCK_AND_USE_INDEXES = f"""
{LOCK}, set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true)
"""


class Mark(NamedTuple):
    """The live jobs of an account are among `old` and those with a number above `seq`.

    So a count passes over no entries of jobs that ended before, which stay in the index beside a
    held snapshot.
    """

    seq: int
    old: list[UUID]


EVERYTHING = Mark(-1, [])


def mark_of(top: int, seqs: Sequence[int], ids: Sequence[UUID]) -> Mark:
    """The highest mark with at most MOST_OLD old jobs. `seqs` and `ids`: of the live jobs, or the
    first ones of more than MOST_OLD. `top`: no job has a higher number.
    """
    if len(seqs) <= MOST_OLD:
        return Mark(top, list(ids))
    return Mark(seqs[MOST_OLD - 1], list(ids[:MOST_OLD]))


def _parameters(account_id: int, most: int) -> dict[str, object]:
    return {"queues": list(JOBS), "account_id": account_id, "most": most}


async def count_queued(connection: AsyncConnection[Any], account_id: int, most: int) -> int:
    """How many jobs of the account wait. It stops at about `most`, which bounds its cost."""
    row = await (await connection.execute(COUNT, _parameters(account_id, most))).fetchone()
    return 0 if row is None else int(row[0])


async def count_from_mark(
    connection: AsyncConnection[Any], account_id: int, most: int, mark: Mark
) -> int:
    """The same, within `lock_backlog`. `mark`: from `find_mark`, or EVERYTHING."""
    parameters = {**_parameters(account_id, most), **mark._asdict()}
    row = await (await connection.execute(COUNT_FROM_MARK, parameters)).fetchone()
    return 0 if row is None else int(row[0])


async def find_mark(connection: AsyncConnection[Any], account_id: int, mark: Mark) -> Mark:
    """A later mark than `mark`. It holds for as long as all who add jobs to the account hold
    `lock_backlog` while they do; this caller holds it.
    """
    parameters = {**_parameters(account_id, MOST_OLD + 1), **mark._asdict()}
    row = await (await connection.execute(LIVE, parameters)).fetchone()
    assert row is not None, "expressions give one row"
    top, live_before, seqs, ids = row
    return EVERYTHING if live_before else mark_of(top, seqs, ids)


async def lock_backlog(connection: AsyncConnection[Any], account_id: int) -> None:
    """In a transaction: be the only one that counts this account's jobs and adds to them.

    It is a separate statement, so that the snapshot of the next one is taken under the lock.
    """
    await connection.execute(LOCK_AND_USE_INDEXES, (BACKLOG_LOCK, account_id))


def count_queued_alone(connection: Connection[Any], account_id: int, most: int) -> int:
    """`lock_backlog` and `count_queued`, for parts of batches; in their transaction."""
    connection.execute(LOCK, (BACKLOG_LOCK, account_id))
    return count_queued_unlocked(connection, account_id, most)


def count_queued_unlocked(connection: Connection[Any], account_id: int, most: int) -> int:
    """`count_queued`, while others may add jobs: for a first look that saves work."""
    row = connection.execute(COUNT, _parameters(account_id, most)).fetchone()
    return 0 if row is None else int(row[0])
