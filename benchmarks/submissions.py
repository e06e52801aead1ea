"""Jobs put into the tables as the API does: a statement each, with an Idempotency-Key."""

import asyncio
from collections.abc import Sequence

import psycopg

from tierline.base.ids import new_id
from tierline.rules.queues import lane
from tierline.storage.jobs.submissions import NewJob, insert_job


def submit(
    database_url: str, accounts: Sequence[int], feature: str, version: int, jobs: int, text: str
) -> None:
    """So many jobs of these accounts in turn, each in a transaction of its own."""

    async def send() -> None:
        connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
        async with await connect as connection:
            for number in range(jobs):
                job_id = new_id()
                taken = await insert_job(
                    connection,
                    NewJob(
                        job_id=job_id,
                        account_id=accounts[number % len(accounts)],
                        feature=feature,
                        version_id=version,
                        tier="slm",
                        tier_index=0,
                        queue=lane(0, backfill=False),
                        input={"text": text},
                        key=str(job_id),
                        payload_hash=job_id.bytes * 2,
                    ),
                )
                if taken.created_at is None:
                    raise SystemExit(f"a job was not written: {taken}")

    asyncio.run(send())
