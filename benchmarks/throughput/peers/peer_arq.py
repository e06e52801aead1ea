"""arq: an event loop on a sorted set in Redis; results are not kept, and it polls often."""

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit

import redis
import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from benchmarks.throughput.peers.loops import Job

QUEUE = "peer-arq"
POLL_S = 0.01  # its workers look for jobs this often; the default of 0.5 s would starve them


def _settings() -> RedisSettings:
    url = os.environ["REDIS_URL"]
    if url.startswith("unix:"):  # its own reader of URLs loses the password of a socket's
        parts = urlsplit(url)
        return RedisSettings(unix_socket_path=parts.path, password=parts.password)
    return RedisSettings.from_dsn(url)


async def answer(context: dict[Any, Any], job_id: str) -> None:
    await context["job"].run(job_id)


def publish(ids: list[str]) -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        for key in [QUEUE, *client.scan_iter("arq:*", count=10_000)]:
            client.delete(key)

    async def send() -> None:
        pool = await create_pool(_settings(), default_queue_name=QUEUE)
        for start in range(0, len(ids), 100):
            some = ids[start : start + 100]
            await asyncio.gather(*(pool.enqueue_job("answer", one) for one in some))

    asyncio.run(send())


def work(threads: int) -> None:
    async def run() -> None:
        worker = Worker(
            functions=[func(answer, name="answer")],
            queue_name=QUEUE,
            redis_settings=_settings(),
            max_jobs=threads,
            poll_delay=POLL_S,
            keep_result=0,
            ctx={"job": await Job.open()},
        )
        await worker.async_run()

    uvloop.run(run())
