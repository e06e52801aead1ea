"""huey: threads that pop from a Redis list; no results, no schedule."""

import os

from huey import RedisHuey

from benchmarks.throughput.peers.threads import Job

queue = RedisHuey("peer", url=os.environ["REDIS_URL"], results=False, store_none=False)
_job: Job | None = None


@queue.task()
def answer(job_id: str) -> None:
    assert _job is not None, "only workers run jobs"
    _job.run(job_id)


def publish(ids: list[str]) -> None:
    queue.flush()
    for one in ids:
        answer(one)


def work(threads: int) -> None:
    global _job
    _job = Job(threads)
    queue.create_consumer(workers=threads, periodic=False, check_worker_health=False).run()
