"""taskiq: an event loop that pops from a Redis list; no result backend."""

import asyncio
import os

import redis
import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

from benchmarks.throughput.peers.loops import Job

QUEUE = "peer-taskiq"
broker = ListQueueBroker(os.environ["REDIS_URL"], queue_name=QUEUE)
_job: Job | None = None


@broker.task
async def answer(job_id: str) -> None:
    assert _job is not None, "only workers run jobs"
    await _job.run(job_id)


def publish(ids: list[str]) -> None:
    redis.Redis.from_url(os.environ["REDIS_URL"]).delete(QUEUE)

    async def send() -> None:
        await broker.startup()
        for one in ids:
            await answer.kiq(one)
        await broker.shutdown()

    asyncio.run(send())


def work(threads: int) -> None:
    async def run() -> None:
        global _job
        _job = await Job.open()
        await run_receiver_task(
            broker, run_startup=True, max_async_tasks=threads, validate_params=False
        )

    uvloop.run(run())
