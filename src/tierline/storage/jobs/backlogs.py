"""Counts an account's waiting jobs from the rows, with the queues' partial indexes.

A counter row would serialise all submissions, because each one updates it.
"""

from typing import Any

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

LOCK = "SELECT pg_advisory_xact_lock(%s, hashint8(%s))"


def _parameters(account_id: int, most: int) -> dict[str, object]:
    return {"queues": list(JOBS), "account_id": account_id, "most": most}


async def count_queued(connection: AsyncConnection[Any], account_id: int, most: int) -> int:
    """How many jobs of the account wait. It stops at about `most`, which bounds its cost."""
    row = await (await connection.execute(COUNT, _parameters(account_id, most))).fetchone()
    return 0 if row is None else int(row[0])


async def lock_backlog(connection: AsyncConnection[Any], account_id: int) -> None:
    """In a transaction: be the only one that counts this account's jobs and adds to them.

    It is a separate statement, so that the snapshot of the next one is taken under the lock.
    """
    await connection.execute(LOCK, (BACKLOG_LOCK, account_id))


def count_queued_alone(connection: Connection[Any], account_id: int, most: int) -> int:
    """`lock_backlog` and `count_queued`, for parts of batches; in their transaction."""
    connection.execute(LOCK, (BACKLOG_LOCK, account_id))
    row = connection.execute(COUNT, _parameters(account_id, most)).fetchone()
    return 0 if row is None else int(row[0])
