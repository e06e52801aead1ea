"""What waits and runs in each queue, and how jobs ended recently. Reads only, with partial indexes.

The last hour is found by the ids: UUIDs of version 7 begin with their milliseconds, so a range of
the primary key is a range of time, and no index by time is needed.
"""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from tierline.rules.queues import DEEPER, DEEPER_BACKFILL, QUARANTINE, SLM, SLM_BACKFILL, WEBHOOKS

LANES = (SLM, SLM_BACKFILL, DEEPER, DEEPER_BACKFILL, QUARANTINE, WEBHOOKS)
LATELY_S = 3600.0

DEPTHS = """
SELECT queue, sum(waiting)::bigint AS waiting, sum(delayed)::bigint AS delayed,
    sum(hinted)::bigint AS hinted,
    sum(running)::bigint AS running, sum(accounts)::bigint AS accounts_waiting,
    CASE WHEN min(since) IS NOT NULL  -- greatest() would make 0 of "nothing waits"
        THEN greatest(0, extract(epoch FROM clock_timestamp() - min(since)))::float8
    END AS oldest_s
FROM (
    SELECT queue, count(*) AS waiting,
        count(*) FILTER (WHERE run_after > statement_timestamp()) AS delayed,
        0 AS hinted, 0 AS running,
        count(DISTINCT account_id) AS accounts,
        min(run_after) FILTER (WHERE run_after <= statement_timestamp()) AS since
    FROM jobs WHERE part < 2 AND status = 'queued' AND hint_no IS NULL GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, count(*), 0, 0, min(run_after) FROM jobs
    WHERE part < 2 AND status = 'queued' AND hint_no IS NOT NULL GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, 0, count(*), 0, NULL FROM jobs
    WHERE part < 2 AND status = 'in_progress' GROUP BY queue
    UNION ALL
    SELECT 'webhooks', count(*),
        count(*) FILTER (WHERE next_try_at > statement_timestamp()), 0, 0,
        count(DISTINCT account_id),
        min(next_try_at) FILTER (WHERE next_try_at <= statement_timestamp())
    FROM deliveries WHERE status = 'pending' AND hint_no IS NULL AND claim_token IS NULL
    UNION ALL
    SELECT 'webhooks', 0, 0, count(*) FILTER (WHERE claim_token IS NULL),
        count(*) FILTER (WHERE claim_token IS NOT NULL), 0, NULL
    FROM deliveries
    WHERE status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)
) depth GROUP BY queue
"""

# A recursive loose scan of the choice's index: one probe for each account and version that waits.
VERSIONS_WAITING = """
WITH RECURSIVE head (queue, account_id, version_id) AS (
    (SELECT queue, account_id, feature_version_id FROM jobs
     WHERE part < 2 AND status = 'queued' AND hint_no IS NULL
     ORDER BY queue, account_id, feature_version_id LIMIT 1)
    UNION ALL
    SELECT following.queue, following.account_id, following.feature_version_id
    FROM head CROSS JOIN LATERAL (
        SELECT queue, account_id, feature_version_id FROM jobs
        WHERE part < 2 AND status = 'queued' AND hint_no IS NULL
            AND (queue, account_id, feature_version_id)
                > (head.queue, head.account_id, head.version_id)
        ORDER BY queue, account_id, feature_version_id LIMIT 1
    ) following
)
SELECT DISTINCT version_id FROM head
"""

ENDED = """
SELECT status, count(*) FROM jobs WHERE id >= %(since)s AND completed_at IS NOT NULL GROUP BY status
"""


@dataclass(frozen=True)
class Depth:
    """The present state of one queue."""

    queue: str
    waiting: int = 0  # in Postgres, with no hint out
    delayed: int = 0  # those of them that are not due yet: a retry, or a webhook's next try
    hinted: int = 0  # sent to the broker
    running: int = 0
    accounts_waiting: int = 0
    oldest_s: float | None = None  # how long the oldest one has been ready


def depths(connection: Connection[Any]) -> list[Depth]:
    """Every queue, the empty ones too."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = {row["queue"]: Depth(**row) for row in cursor.execute(DEPTHS)}
    return [found.get(queue, Depth(queue)) for queue in LANES]


def versions_waiting(connection: Connection[Any]) -> list[int]:
    """The feature versions that jobs wait for."""
    return [version_id for (version_id,) in connection.execute(VERSIONS_WAITING)]


def ended_lately(connection: Connection[Any]) -> dict[str, int]:
    """How many jobs of the last hour ended with each status."""
    return dict(connection.execute(ENDED, {"since": _id_at(time.time() - LATELY_S)}).fetchall())


async def revision(connection: AsyncConnection[Any]) -> str | None:
    """The revision the database is at. Raises UndefinedTable when it was never migrated."""
    row = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
    return None if row is None else str(row[0])


async def takes_writes(connection: AsyncConnection[Any]) -> bool:
    """Whether a transaction may write: False on a replica, or if the default is read-only."""
    row = await (
        await connection.execute("SELECT current_setting('transaction_read_only') = 'off'")
    ).fetchone()
    return row is not None and bool(row[0])


async def beats(connection: AsyncConnection[Any]) -> list[tuple[UUID, list[str], int, int]]:
    """Each worker process: id, queues, threads, beat."""
    rows = await connection.execute("SELECT worker, queues, threads, beat FROM worker_beats")
    return await rows.fetchall()


async def dispatchers(connection: AsyncConnection[Any]) -> int:
    """How many connections dispatchers hold to this database."""
    row = await (
        await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'tierline-dispatcher%%'"
        )
    ).fetchone()
    return 0 if row is None else int(row[0])


def _id_at(seconds: float) -> UUID:
    """The lowest UUID of version 7 at that Unix time."""
    return UUID(int=int(seconds * 1000) << 80)
