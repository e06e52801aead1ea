"""pgqueuer: an event loop on a queue in Postgres, which it takes from in batches."""

import asyncio
import os

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job as Message
from pgqueuer.queries import Queries

from benchmarks.throughput.peers.loops import Job, open_pool

PART = 1_000  # jobs in one statement


def publish(ids: list[str]) -> None:
    async def send() -> None:
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        there = await connection.fetchval("SELECT to_regclass('pgqueuer') IS NOT NULL")
        pool = await open_pool()
        queries = Queries(AsyncpgPoolDriver(pool))
        if not there:
            await queries.install()
        await connection.execute("TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_statistics")
        for start in range(0, len(ids), PART):
            some = [one.encode() for one in ids[start : start + PART]]
            await queries.enqueue(["answer"] * len(some), list(some), [0] * len(some))
        await pool.close()
        await connection.close()

    asyncio.run(send())


def work(threads: int) -> None:
    async def run() -> None:
        job = await Job.open()
        queue = PgQueuer(AsyncpgPoolDriver(await open_pool()))

        @queue.entrypoint("answer")
        async def answer(message: Message) -> None:
            assert message.payload is not None
            await job.run(message.payload.decode())

        # It wants at least two batches to fit among its running jobs.
        await queue.run(batch_size=threads // 2, max_concurrent_tasks=threads)

    uvloop.run(run())
