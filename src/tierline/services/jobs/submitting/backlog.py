"""Limits the queued jobs of each account, across all API processes, from the job rows alone.

Up to EXACT_UP_TO the limit is exact: counting and writing are one step under the account's lock.
Above that, counting would cost more than the job. So a process counts once and then accepts as many
jobs as there was room for, for TRUST_S. The limit may be exceeded by what the other processes
accept in that time. A part of a batch has thousands of rows and is always counted exactly: then it
is written first, and counted with what it adds.

An exact count begins where the account's live jobs begin (`Mark`), so that it does not take longer
the longer somebody holds a snapshot.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import LimitReached
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import submissions
from tierline.storage.jobs.backlogs import (
    EVERYTHING,
    Mark,
    count_from_mark,
    count_queued,
    find_mark,
    lock_backlog,
)
from tierline.storage.jobs.submissions import InsertResult, NewJob

EXACT_UP_TO = 1_000  # counting so many index entries takes less time than writing one job
TRUST_S = 1.0  # how long a count is used
TRUST_FACTOR = 20.0  # or this many times its duration: counting uses at most 5% of a core
MARK_EVERY_S = 1.0  # how often a mark is moved on
MARK_S = (
    60.0  # then it is read again: until lately, the account may have had a limit that needs no lock
)
MARK_FACTOR = 100.0  # or this many times the duration of finding it
FULL_S = 1.0  # Retry-After


@dataclass
class _Room:
    limit: int
    left: int  # jobs that may be accepted before the next count
    until_s: float


class _Marks:
    """Where the live jobs of each account begin."""

    def __init__(self) -> None:
        self._marks: dict[int, Mark] = {}
        self._moved_s: dict[int, float] = {}  # monotonic
        self._until_s: dict[int, float] = {}

    async def of(self, connection: AsyncConnection[Any], account_id: int) -> Mark:
        """The account's mark. The caller holds its lock."""
        now_s = time.monotonic()
        begins = now_s >= self._until_s.get(account_id, 0.0)
        mark = EVERYTHING if begins else self._marks[account_id]
        if not begins and now_s - self._moved_s[account_id] < MARK_EVERY_S:
            return mark
        mark = self._marks[account_id] = await find_mark(connection, account_id, mark)
        self._moved_s[account_id] = found_s = time.monotonic()
        if begins:
            self._until_s[account_id] = found_s + max(MARK_S, MARK_FACTOR * (found_s - now_s))
        return mark


class Backlogs:
    """Writes jobs within their accounts' limits. One per API process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._rooms: dict[int, _Room] = {}
        self._marks = _Marks()
        # One request of an account at a time, so that the waiting ones hold no connection.
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def insert(self, new: NewJob, limit: int | None) -> InsertResult:
        """Write the job. Raises LimitReached if the account already has `limit` jobs queued."""
        if limit is not None and counts_each_job(limit):
            return await self._insert_counted(new, limit)
        if limit is not None:
            await self._take_room(new.account_id, limit)
        return await again(self._pool, lambda c: submissions.insert_job(c, new))

    async def insert_all(self, news: Sequence[NewJob], limit: int | None) -> list[InsertResult]:
        """Write all jobs of one account, or none: then a job of the result is stale, or its key is
        taken. Raises LimitReached if the account would have more than `limit` jobs queued.
        """
        account_id = news[0].account_id
        exact = limit if limit is not None and counts_each_job(limit) else None
        if limit is not None and exact is None:
            await self._take_room(account_id, limit, len(news))
        async with self._turns[account_id] if exact is not None else nullcontext():
            results = await again(
                self._pool, lambda c: _insert_all_within(c, news, exact, self._marks)
            )
        if results is None:
            assert limit is not None, "without a limit all are written"
            raise full(limit, FULL_S)
        return results

    async def _insert_counted(self, new: NewJob, limit: int) -> InsertResult:
        async with self._turns[new.account_id]:
            result = await again(self._pool, lambda c: _insert_within(c, new, limit, self._marks))
        if result is None:
            raise full(limit, FULL_S)
        return result

    async def _take_room(self, account_id: int, limit: int, jobs: int = 1) -> None:
        room = self._rooms.get(account_id)
        if not _stands(room, limit):
            async with self._turns[account_id]:
                room = self._rooms.get(account_id)
                if not _stands(room, limit):
                    room = await self._count(account_id, limit)
        assert room is not None, "either still valid or just counted"
        if room.left < jobs:
            raise full(limit, room.until_s - time.monotonic())
        room.left -= jobs

    async def _count(self, account_id: int, limit: int) -> _Room:
        started_s = time.monotonic()
        queued = await again(self._pool, lambda c: count_queued(c, account_id, limit))
        now_s = time.monotonic()
        trust_s = max(TRUST_S, TRUST_FACTOR * (now_s - started_s))
        room = self._rooms[account_id] = _Room(limit, limit - queued, now_s + trust_s)
        return room


async def _insert_within(
    connection: AsyncConnection[Any], new: NewJob, limit: int, marks: _Marks
) -> InsertResult | None:
    """Write the job, unless `limit` jobs of the account are queued: then None. Concurrent calls do
    not exceed it together. Safe to repeat after a cut connection.
    """
    async with connection.transaction():
        await lock_backlog(connection, new.account_id)
        mark = await marks.of(connection, new.account_id)
        queued = await count_from_mark(connection, new.account_id, limit, mark)
        if queued >= limit and not await submissions.is_written(connection, new.job_id):
            return None
        return await submissions.insert_job(connection, new)


async def _insert_all_within(
    connection: AsyncConnection[Any], news: Sequence[NewJob], limit: int | None, marks: _Marks
) -> list[InsertResult] | None:
    """Write all jobs in one transaction, or none if one is stale or its key is taken. None: the
    account would have more than `limit` jobs queued. Safe to repeat as `_insert_within` is.
    """
    results: list[InsertResult] = []
    async with connection.transaction():
        if limit is not None:
            await lock_backlog(connection, news[0].account_id)
            mark = await marks.of(connection, news[0].account_id)
            queued = await count_from_mark(connection, news[0].account_id, limit, mark)
            if queued + len(news) > limit and not await submissions.is_written(
                connection, news[0].job_id
            ):
                return None
        async with connection.pipeline():
            results = await submissions.insert_jobs(connection, news)
        if any(one.created_at is None for one in results):
            raise psycopg.Rollback
    return results


def counts_each_job(limit: int) -> bool:
    """Whether the queued jobs are counted before each job is written, under the account's lock."""
    return limit <= EXACT_UP_TO


def full(limit: int, wait_s: float) -> LimitReached:
    """The error for an account that has its maximum of jobs queued."""
    return LimitReached(
        f"the account already has {limit:,} jobs queued, its maximum (max_queued_jobs); try again"
        " when some of them have run",
        wait_s,
    )


def _stands(room: _Room | None, limit: int) -> bool:
    return room is not None and room.limit == limit and time.monotonic() < room.until_s
