"""procrastinate: an event loop on a queue in Postgres; finished jobs are deleted from its queue."""

import asyncio
import os

import uvloop
from procrastinate import App, PsycopgConnector

from benchmarks.throughput.peers.loops import Job

EMPTY = "TRUNCATE procrastinate_jobs, procrastinate_events, procrastinate_workers CASCADE"
PART = 1_000  # jobs in one statement
app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"], max_size=8))
_job: Job | None = None


@app.task(queue="peer")
async def answer(job_id: str) -> None:
    assert _job is not None, "only workers run jobs"
    await _job.run(job_id)


def publish(ids: list[str]) -> None:
    async def send() -> None:
        async with app.open_async():
            row = await app.connector.execute_query_one_async(
                "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS there"
            )
            if not row["there"]:
                await app.schema_manager.apply_schema_async()
            await app.connector.execute_query_async(EMPTY)
            for start in range(0, len(ids), PART):
                some = ids[start : start + PART]
                await answer.batch_defer_async(*({"job_id": one} for one in some))

    asyncio.run(send())


def work(threads: int) -> None:
    async def run() -> None:
        global _job
        _job = await Job.open()
        async with app.open_async():
            await app.run_worker_async(
                queues=["peer"], concurrency=threads, delete_jobs="successful"
            )

    uvloop.run(run())
