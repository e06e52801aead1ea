"""What waits and runs in each queue, and how jobs ended recently. Reads only, with partial indexes.

The last hour is found by the ids: UUIDs of version 7 begin with their milliseconds, so a range of
the primary key is a range of time, and no index by time is needed.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection

from tierline.base.ids import database_now, first_id_of
from tierline.rules.queues import DEEPER, DEEPER_BACKFILL, QUARANTINE, SLM, SLM_BACKFILL, WEBHOOKS
from tierline.storage.db.homes import at_homes, up_to_now
from tierline.storage.db.rows import all_rows

LANES = (SLM, SLM_BACKFILL, DEEPER, DEEPER_BACKFILL, QUARANTINE, WEBHOOKS)
LATELY = timedelta(hours=1)

LONG_BYTES = 64_000_000  # of jobs_live, which are 90,000 jobs that ended beside a held snapshot
EXACT_TO = 10_000  # what waits in a queue is counted at each read up to here

_WAITS = "part < 2 AND status = 'queued' AND hint_no IS NULL"
_DUE_JOB = f"""
SELECT run_after FROM jobs WHERE {_WAITS} AND queue = l.queue ORDER BY run_after LIMIT 1"""
_WAITING_DELIVERY = "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"

# {limit}: how many rows of a queue are read at most. Without one, all waiting jobs are read.
_WAITING = f"""
SELECT l.queue, c.* FROM unnest(%(lanes)s::text[]) l (queue) CROSS JOIN LATERAL (
    SELECT count(*) AS waiting,
        count(*) FILTER (WHERE run_after > statement_timestamp()) AS delayed,
        count(DISTINCT account_id) AS accounts_waiting
    FROM (SELECT run_after, account_id FROM jobs WHERE {_WAITS} AND queue = l.queue {{limit}}) one
) c
UNION ALL
SELECT 'webhooks', count(*),
    count(*) FILTER (WHERE next_try_at > statement_timestamp()), count(DISTINCT account_id)
FROM (SELECT next_try_at, account_id FROM deliveries WHERE {_WAITING_DELIVERY} {{limit}}) one
"""
WAITING = _WAITING.format(limit=f"LIMIT {EXACT_TO + 1}")
ALL_WAITING = _WAITING.format(limit="")

# Few jobs run or have a hint: never more than there are threads, and some hints. jobs_live has no
# index of them and is read once; jobs_before has one.
UNDER_WAY = f"""
SELECT queue, sum(hinted)::bigint AS hinted, sum(running)::bigint AS running,
    -- greatest() would make 0 of "nothing waits"
    CASE WHEN min(since) IS NOT NULL
        THEN greatest(0, extract(epoch FROM clock_timestamp() - min(since)))::float8
    END AS oldest_s
FROM (
    SELECT queue, count(*) FILTER (WHERE status = 'queued') AS hinted,
        count(*) FILTER (WHERE status = 'in_progress') AS running,
        min(run_after) FILTER (WHERE status = 'queued') AS since
    FROM jobs
    WHERE part = 1 AND (status = 'in_progress' OR status = 'queued' AND hint_no IS NOT NULL)
    GROUP BY queue
    UNION ALL
    SELECT queue, count(*), 0, min(run_after) FROM jobs
    WHERE part = 0 AND status = 'queued' AND hint_no IS NOT NULL GROUP BY queue
    UNION ALL
    SELECT queue, 0, count(*), NULL FROM jobs
    WHERE part = 0 AND status = 'in_progress' GROUP BY queue
    UNION ALL
    SELECT l.queue, 0, 0, first.run_after FROM unnest(%(lanes)s::text[]) l (queue)
    CROSS JOIN LATERAL ({_DUE_JOB}) first WHERE first.run_after <= statement_timestamp()
    UNION ALL
    SELECT 'webhooks', count(*) FILTER (WHERE claim_token IS NULL),
        count(*) FILTER (WHERE claim_token IS NOT NULL), NULL
    FROM deliveries
    WHERE status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)
    UNION ALL
    SELECT 'webhooks', 0, 0, min(next_try_at)
    FROM (
        SELECT next_try_at FROM deliveries WHERE {_WAITING_DELIVERY}
        ORDER BY next_try_at LIMIT 1
    ) first WHERE next_try_at <= statement_timestamp()
) found GROUP BY queue
"""

COUNTED = """
SELECT queue, waiting, delayed, accounts_waiting,
    greatest(0, extract(epoch FROM clock_timestamp() - counted_at))::float8 AS counted_s_ago
FROM queue_counts WHERE queue = ANY(%(queues)s)
"""
COUNT_IS_DUE = """
SELECT NOT EXISTS (SELECT FROM queue_counts WHERE counted_at
    > clock_timestamp() - make_interval(secs => greatest(%(every_s)s, %(share)s * took_s)))
"""
KEEP_COUNTS = f"""
WITH began AS MATERIALIZED (SELECT clock_timestamp() AS at), counts AS MATERIALIZED ({ALL_WAITING})
INSERT INTO queue_counts (queue, waiting, delayed, accounts_waiting, counted_at, took_s)
SELECT queue, waiting, delayed, accounts_waiting, began.at,
    extract(epoch FROM clock_timestamp() - began.at)
FROM began, counts
ON CONFLICT (queue) DO UPDATE SET waiting = excluded.waiting, delayed = excluded.delayed,
    accounts_waiting = excluded.accounts_waiting, counted_at = excluded.counted_at,
    took_s = excluded.took_s
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
SELECT status, count(*) FROM @jobs j
WHERE id >= %(since)s AND completed_at IS NOT NULL GROUP BY status
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
    # how old the numbers are (of a long queue, only those of waiting jobs); None: they are new
    counted_s_ago: float | None = None


def depths(connection: Connection[Any]) -> list[Depth]:
    """Every queue, the empty ones too.

    Waiting jobs are counted now, up to EXACT_TO jobs of a queue. A longer queue has the last count
    by `keep_counts`, with its age. So the cost does not grow with the queue.
    """
    parameters = {"lanes": [lane for lane in LANES if lane != WEBHOOKS]}
    waiting = {row["queue"]: row for row in all_rows(connection, WAITING, parameters)}
    long = [queue for queue, row in waiting.items() if row["waiting"] > EXACT_TO]
    if long:
        counted = {row["queue"]: row for row in all_rows(connection, COUNTED, {"queues": long})}
        # At the first count, and if the queue has grown since the last one.
        missing = [
            queue for queue in long if counted.get(queue, {"waiting": 0})["waiting"] <= EXACT_TO
        ]
        if missing:
            everything = all_rows(connection, ALL_WAITING, parameters)
            counted |= {row["queue"]: row for row in everything if row["queue"] in missing}
        waiting |= counted
    under_way = {row["queue"]: row for row in all_rows(connection, UNDER_WAY, parameters)}
    return [
        Depth(**{"queue": lane, **waiting.get(lane, {}), **under_way.get(lane, {})})
        for lane in LANES
    ]


def is_long(connection: Connection[Any]) -> bool:
    """Whether the table of live jobs is so large, with its dead rows, that `depths` takes long."""
    row = connection.execute("SELECT pg_relation_size('jobs_live') > %s", (LONG_BYTES,)).fetchone()
    return row == (True,)


def keep_counts(connection: Connection[Any], every_s: float, share: float) -> bool:
    """Count all that waits and keep the numbers for `depths`, if a queue is longer than EXACT_TO.

    Not more often than every `every_s` seconds, nor than `share` times what the last count took.
    Returns whether it counted.
    """
    parameters = {"lanes": [lane for lane in LANES if lane != WEBHOOKS]}
    if all(row["waiting"] <= EXACT_TO for row in all_rows(connection, WAITING, parameters)):
        return False
    due = connection.execute(COUNT_IS_DUE, {"every_s": every_s, "share": share}).fetchone()
    if due is None or not due[0]:
        return False
    connection.execute(KEEP_COUNTS, parameters)
    return True


def versions_waiting(connection: Connection[Any]) -> list[int]:
    """The feature versions that jobs wait for."""
    return [version_id for (version_id,) in connection.execute(VERSIONS_WAITING)]


def ended_lately(connection: Connection[Any]) -> dict[str, int]:
    """How many jobs of the last hour ended with each status."""
    since = first_id_of(database_now(), LATELY)
    statement = at_homes(connection, ENDED, up_to_now(since))
    return dict(connection.execute(statement, {"since": since}).fetchall())


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
