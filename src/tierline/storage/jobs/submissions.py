"""Inserts a job: one statement writes the job, its request and its idempotency key.

The row is the outbox: the job needs nothing else to run. The statement refuses a feature version
that is no longer current, so the caller must validate again. It writes nothing if the key is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor, Connection

from tierline.base.json_text import JSON, plain_json
from tierline.rules.jobs import Status

_CURRENT = """
current AS (
    SELECT 1 FROM features WHERE name = %(feature)s AND version_id = %(version_id)s
)"""

_DRAFT = """
current AS (
    SELECT 1 FROM feature_versions WHERE id = %(version_id)s AND version < 0
)"""

_KEY = """
key AS (
    INSERT INTO idempotency_keys (account_id, key, job_id, payload_hash)
    SELECT %(account_id)s, %(key)s, %(job_id)s, %(payload_hash)s FROM current
    ON CONFLICT (account_id, key) DO NOTHING
    RETURNING 1
)"""

_JOB = """
job AS (
    INSERT INTO jobs
        (id, account_id, feature_version_id, status, tier, tier_index, queue, deadline_at)
    SELECT %(job_id)s, %(account_id)s, %(version_id)s, %(status)s, %(tier)s, %(tier_index)s,
        %(queue)s, clock_timestamp() + make_interval(secs => %(deadline_s)s::float8)
    FROM {source}
    RETURNING id, created_at
), request AS (
    INSERT INTO job_requests
        (job_id, input, metadata, webhook_url, user_key, session_key, decision)
    SELECT id, %(input)s::json, %(metadata)s::json, %(webhook_url)s, %(user)s, %(session)s,
        %(decision)s::json
    FROM job
)
SELECT EXISTS (SELECT FROM current), (SELECT created_at FROM job)
"""

SUBMIT = f"WITH {_CURRENT}, {_JOB.format(source='current')}"
SUBMIT_DRAFT = f"WITH {_DRAFT}, {_JOB.format(source='current')}"
SUBMIT_WITH_KEY = f"WITH {_CURRENT}, {_KEY}, {_JOB.format(source='key')}"

KEY_HOLDER = "SELECT job_id, payload_hash FROM idempotency_keys WHERE account_id = %s AND key = %s"


@dataclass(frozen=True)
class NewJob:
    """What a submission writes. `job_id` is made before, so that the statement is safe to
    repeat.
    """

    job_id: UUID
    account_id: int
    feature: str
    version_id: int
    tier: str
    tier_index: int
    queue: str
    input: JSON
    metadata: JSON | None = None
    webhook_url: str | None = None
    user: str | None = None
    session: str | None = None
    deadline_s: float | None = None  # from the insert on
    key: str | None = None  # Idempotency-Key
    payload_hash: bytes | None = None  # of the request; set with `key`
    draft: bool = False  # its version is a draft; then there is no key
    decision: JSON | None = None  # why it begins on that tier; None: by the feature's default


@dataclass(frozen=True)
class InsertResult:
    """The result of a submission. If neither field is set, the key is taken, by this job or an
    earlier one.
    """

    stale: bool  # another version of the feature is current now; nothing was written
    created_at: datetime | None  # None: nothing was written


async def insert_job(connection: AsyncConnection[Any], new: NewJob) -> InsertResult:
    """Insert the job in one round trip.

    Of several calls with the same key at once, one writes; the others wait for it and write
    nothing. If it is repeated after a cut connection, it finds its own key or raises
    UniqueViolation for its id. Both mean that the first try was committed.
    """
    return await _insert_result(await connection.execute(*_insert(new)))


async def insert_jobs(
    connection: AsyncConnection[Any], news: Sequence[NewJob]
) -> list[InsertResult]:
    """Insert the jobs, in the caller's transaction; otherwise as `insert_job`. In the caller's
    pipeline it takes one round trip.
    """
    cursors = [await connection.execute(*_insert(new)) for new in news]
    return [await _insert_result(cursor) for cursor in cursors]


def insert_job_now(connection: Connection[Any], new: NewJob) -> InsertResult:
    """The same in the caller's transaction, on a connection of a worker."""
    row = connection.execute(*_insert(new)).fetchone()
    assert row is not None, "a SELECT of two expressions gives one row"
    return InsertResult(stale=not row[0], created_at=row[1])


def _insert(new: NewJob) -> tuple[str, dict[str, object]]:
    parameters = {
        **vars(new),
        "status": Status.QUEUED.value,
        "input": plain_json(new.input),
        "metadata": None if new.metadata is None else plain_json(new.metadata),
        "decision": None if new.decision is None else plain_json(new.decision),
    }
    statement = SUBMIT if new.key is None else SUBMIT_WITH_KEY
    return SUBMIT_DRAFT if new.draft else statement, parameters


async def _insert_result(cursor: AsyncCursor[Any]) -> InsertResult:
    row = await cursor.fetchone()
    assert row is not None, "a SELECT of two expressions gives one row"
    return InsertResult(stale=not row[0], created_at=row[1])


async def is_written(connection: AsyncConnection[Any], job_id: UUID) -> bool:
    """Whether an earlier try to insert the job was committed, and only its response was lost."""
    cursor = await connection.execute("SELECT FROM jobs WHERE id = %s", (job_id,))
    return await cursor.fetchone() is not None


async def key_holder(
    connection: AsyncConnection[Any], account_id: int, key: str
) -> tuple[UUID, bytes] | None:
    """The job that used the key, and the hash of its request; None: the key is free."""
    return await (await connection.execute(KEY_HOLDER, (account_id, key))).fetchone()


def forget_idempotency_keys(connection: Connection[Any], older_than_s: float, most: int) -> int:
    """Remove keys older than `older_than_s`, `most` at once. Returns how many."""
    return connection.execute(
        "DELETE FROM idempotency_keys WHERE (account_id, key) IN ("
        "SELECT account_id, key FROM idempotency_keys"
        " WHERE created_at < statement_timestamp() - make_interval(secs => %s)"
        " ORDER BY created_at LIMIT %s)",
        (older_than_s, most),
    ).rowcount
