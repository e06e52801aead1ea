"""Repeated submissions: the jobs that an Idempotency-Key stands for."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import InvalidInput, Problem
from tierline.services.jobs.submitting.new_jobs import Submitted
from tierline.services.jobs.submitting.submission import Submission
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import job_reads, submissions

MAX_KEY = 255

_hashed_text = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class KeyReused(InvalidInput):
    """The Idempotency-Key was used with another payload."""


def payload_hash(submission: Submission) -> bytes:
    """A hash of the payload that does not depend on the order of keys."""
    return hashlib.sha256(_hashed_text(vars(submission)).encode()).digest()


def payload_hash_of_all(submissions: Sequence[Submission]) -> bytes:
    """A hash of the payload of one call with several jobs."""
    return hashlib.sha256(b"".join(payload_hash(one) for one in submissions)).digest()


async def earlier_job(
    pool: AsyncConnectionPool[Any], account_id: int, key: str | None, hashed: bytes | None
) -> Submitted | None:
    """The job that the key stands for, or None. Raises KeyReused."""
    if key is None:
        return None
    holder = await again(pool, lambda c: submissions.key_holder(c, account_id, key))
    if holder is None:
        return None
    job_id, holders_hash = holder
    if holders_hash != hashed:
        raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
    row = await again(pool, lambda c: job_reads.job_row_async(c, account_id, job_id))
    return None if row is None else Submitted(job_id, row, replayed=True)


async def earlier_ids(
    pool: AsyncConnectionPool[Any], account_id: int, keys: Sequence[str]
) -> list[UUID]:
    """The ids of the jobs that the keys stand for."""
    ids: list[UUID] = []
    for key in keys:
        holder = await again(pool, lambda c, key=key: submissions.key_holder(c, account_id, key))  # type: ignore[misc]
        if holder is not None:
            ids.append(holder[0])
    return ids
