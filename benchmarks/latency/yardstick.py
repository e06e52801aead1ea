"""The yardstick: a row and a message by hand, for the strong task of `benchmarks.throughput`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from celery import Celery
from kombu import Queue

from benchmarks.stage import Stage, process
from benchmarks.throughput import yardstick_tables
from tests.support.waiting import wait_until
from tierline.base.ids import new_id
from tierline.base.network.broker_urls import kombu_url

POLL_S = 0.002
QUEUE = "yard-strong"
TIMES = "extract(epoch FROM created_at)::float8, extract(epoch FROM completed_at)::float8"


class ByHand:
    """Inserts a row, sends its message, waits until the row says completed."""

    def __init__(self, on: Stage, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._app = Celery("sender", broker=kombu_url(on.redis_url))
        self._app.conf.task_queues = [Queue(QUEUE, routing_key=QUEUE, no_ack=True)]
        self._producer = self._app.producer_pool.acquire(block=True)

    def one(self) -> tuple[float, float]:
        """Seconds from before the insert to the row's completed_at, and within the row alone."""
        job_id = new_id()
        started = time.time()
        self._connection.execute(
            "INSERT INTO yard_jobs (id, status, input) VALUES (%s, 'queued', %s)",
            (job_id, '{"text": "hello"}'),
        )
        self._app.send_task(
            "yard.strong", args=(str(job_id),), queue=QUEUE, producer=self._producer
        )
        ended = wait_until(lambda: self._ended(job_id), 30, "a yardstick job", POLL_S)
        assert ended is not None, "wait_until returns what is true"
        created, completed = ended
        return completed - started, completed - created

    def _ended(self, job_id: Any) -> tuple[float, float] | None:
        return self._connection.execute(
            f"SELECT {TIMES} FROM yard_jobs WHERE id = %s AND status = 'completed'",
            (job_id,),
        ).fetchone()


@contextmanager
def by_hand(on: Stage, model_url: str, threads: int) -> Iterator[ByHand]:
    """The yardstick with its worker."""
    arguments = ["-m", "celery", "-A", "benchmarks.throughput.yardstick", "worker"]
    arguments += ["--pool=threads", f"--concurrency={threads}", "-Q", QUEUE]
    arguments += ["-n", "yard@localhost", "--loglevel=ERROR"]
    arguments += ["--without-gossip", "--without-mingle", "--task-events"]
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        process(arguments, on.environment(OPENAI_BASE_URL=model_url)),
    ):
        connection.execute(yardstick_tables.TABLES)
        yield ByHand(on, connection)
