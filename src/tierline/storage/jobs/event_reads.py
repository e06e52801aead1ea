"""Reads what the events of jobs are derived from, for the event streams of an API process.

Nothing is locked. A poll reads a few columns of live jobs only; a job is read whole when it has
changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from tierline.rules.queues import DEEPER, QUARANTINE, SLM
from tierline.views.jobs.events import EventRow

POSITIONS = """
SELECT id, status, attempts FROM jobs WHERE part < 2 AND id = ANY(%s)
"""

# By the index of the dispatcher's groups, so that the rows of batches are not read.
LIVE = """
SELECT j.id, j.seq, j.status, j.attempts
FROM unnest(%(queues)s::text[]) lane (queue)
CROSS JOIN LATERAL (
    SELECT id, seq, status, attempts FROM jobs
    WHERE part < 2 AND jobs.queue = lane.queue AND account_id = %(account_id)s
        AND batch_id IS NULL AND shadow_of IS NULL AND status IN ('queued', 'in_progress')
    LIMIT %(most)s
) j
LIMIT %(most)s
"""

NEW = """
SELECT id, seq, batch_id IS NULL AND shadow_of IS NULL AS shown
FROM jobs WHERE account_id = %(account_id)s AND seq > %(after)s ORDER BY seq LIMIT %(most)s
"""

LAST = "SELECT coalesce(max(seq), 0) FROM jobs WHERE account_id = %s"

SINCE = """
SELECT id, batch_id IS NULL AND shadow_of IS NULL AS shown
FROM jobs WHERE account_id = %(account_id)s AND seq >= %(low)s ORDER BY seq DESC LIMIT %(most)s
"""

FACTS = """
SELECT j.id, j.account_id, v.name AS feature, v.version AS feature_version, j.status, j.tier,
    j.batch_id, j.custom_id, j.created_at, j.completed_at,
    coalesce(v.document -> 'status_label', '{{}}') AS labels,
    jsonb_path_query_array(v.document, '$.tiers[*].name') AS tiers,
    coalesce(v.document #>> '{{tiers,0,models,0}}', '') LIKE 'micro:%%' AS micro_first,
    a.numbers, a.attempt_tiers, a.started, a.ended, a.verdicts, a.reasons
FROM jobs j
JOIN feature_versions v ON v.id = j.feature_version_id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(number ORDER BY number), '{{}}') AS numbers,
        array_agg(tier ORDER BY number) AS attempt_tiers,
        array_agg(started_at ORDER BY number) AS started,
        array_agg(ended_at ORDER BY number) AS ended,
        array_agg(verdict ORDER BY number) AS verdicts,
        array_agg(reason ORDER BY number) AS reasons
    FROM attempts WHERE job_id = j.id
) a
WHERE j.id = ANY(%s) {of_account}
"""
FACTS_OF_ALL = FACTS.format(of_account="")
FACTS_OF_ACCOUNT = FACTS.format(of_account="AND j.account_id = %s")


@dataclass(frozen=True)
class LiveJob:
    """A job that has not ended."""

    id: UUID
    seq: int
    status: str
    attempts: int


@dataclass(frozen=True)
class NewJobRow:
    """A job with a `seq` above the one that was known."""

    id: UUID
    seq: int
    shown: bool  # it is neither a row of a batch nor a shadow


async def positions(
    connection: AsyncConnection[Any], job_ids: Sequence[UUID]
) -> dict[UUID, tuple[str, int]]:
    """Status and number of attempts of those jobs that have not ended."""
    rows = await connection.execute(POSITIONS, (list(job_ids),))
    return {job_id: (status, attempts) async for job_id, status, attempts in rows}


async def live_jobs(connection: AsyncConnection[Any], account_id: int, most: int) -> list[LiveJob]:
    """At most `most` of the account's jobs that have not ended, without rows of batches."""
    parameters = {
        "account_id": account_id,
        "most": most,
        "queues": [SLM, DEEPER, QUARANTINE],
    }
    async with connection.cursor(row_factory=class_row(LiveJob)) as cursor:
        return await (await cursor.execute(LIVE, parameters)).fetchall()


async def new_jobs(
    connection: AsyncConnection[Any], account_id: int, after: int, most: int
) -> list[NewJobRow]:
    """The account's first `most` jobs with a `seq` above `after`, whatever became of them."""
    parameters = {"account_id": account_id, "after": after, "most": most}
    async with connection.cursor(row_factory=class_row(NewJobRow)) as cursor:
        return await (await cursor.execute(NEW, parameters)).fetchall()


async def last_seq(connection: AsyncConnection[Any], account_id: int) -> int:
    """The largest `seq` of the account's jobs; 0: it has none."""
    row = await (await connection.execute(LAST, (account_id,))).fetchone()
    return 0 if row is None else int(row[0])


async def jobs_since(
    connection: AsyncConnection[Any], account_id: int, low: int, most: int
) -> list[tuple[UUID, bool]]:
    """The account's newest `most` jobs with a `seq` of at least `low`, and whether each is shown:
    it is neither a row of a batch nor a shadow.
    """
    parameters = {"account_id": account_id, "low": low, "most": most}
    return await (await connection.execute(SINCE, parameters)).fetchall()


async def event_rows(
    connection: AsyncConnection[Any], job_ids: Sequence[UUID], account_id: int | None = None
) -> list[EventRow]:
    """The jobs with their attempts; with `account_id` only that account's."""
    async with connection.cursor(row_factory=class_row(EventRow)) as cursor:
        if account_id is None:
            await cursor.execute(FACTS_OF_ALL, (list(job_ids),))
        else:
            await cursor.execute(FACTS_OF_ACCOUNT, (list(job_ids), account_id))
        return await cursor.fetchall()
