"""dramatiq: threads and its Redis broker, without the middleware that the job does not use."""

import os
import signal

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.throughput.peers.threads import Job

broker = RedisBroker(url=os.environ["REDIS_URL"], middleware=[])
dramatiq.set_broker(broker)
_job: Job | None = None


@dramatiq.actor(queue_name="peer")
def answer(job_id: str) -> None:
    assert _job is not None, "only workers run jobs"
    _job.run(job_id)


def publish(ids: list[str]) -> None:
    broker.flush_all()
    for one in ids:
        answer.send(one)


def work(threads: int) -> None:
    global _job
    _job = Job(threads)
    dramatiq.Worker(broker, worker_threads=threads).start()
    signal.pause()
