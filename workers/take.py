"""Takes hints from the broker, as many at once as there are free threads, and runs them.

The worker is a Celery worker in everything else: it answers to `inspect`, sends Celery's events,
and Flower counts its tasks. Only the way of a message to a thread is shorter. Celery's own way, one
message at a time through kombu, its event loop, a request and a tracer, took 27 to 49% of the
interpreter's time in a busy worker.
"""

import os
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from json import loads
from typing import Any

import redis
import structlog
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from kombu import Consumer

from tierline.rules.queues import BACKFILLS
from tierline.rules.scheduling import kept_free
from workers.consumer import BatchedEvents
from workers.hints import broker_client
from workers.task_events import TaskEvents

log = structlog.get_logger(__name__)

BLOCK_S = 0.5  # how long the broker may keep one request open; a stop waits for it
AWAY_S = 1.0  # before the next request to the broker after an error
MOST_AT_ONCE = 4  # so that the processes of a queue share a burst
MOST_BACKFILLS = 8  # the same for backfills, whose jobs are claimed together

_here = threading.local()


def queue_here() -> str | None:
    """The queue of the hint that this thread runs; None: it runs none."""
    return getattr(_here, "queue", None)


class ListedConsumer(Consumer):
    """Celery's consumer of tasks: it knows the worker's queues, for Flower, and takes nothing."""

    def consume(self, no_ack: bool | None = None) -> None:
        """Take no message: `TakeHints` does."""


@dataclass(eq=False)
class Hint:
    """A message that a thread runs, with what Celery's bookkeeping asks of a request."""

    id: str
    name: str
    arguments: tuple[str, ...]
    queue: str
    hostname: str
    time_start: float | None = field(default=None)

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Celery passes it
        """What `inspect active` shows."""
        return {
            "id": self.id,
            "name": self.name,
            "args": list(self.arguments),
            "kwargs": {},
            "type": self.name,
            "hostname": self.hostname,
            "time_start": self.time_start,
            "acknowledged": True,
            "delivery_info": {"exchange": "", "routing_key": self.queue, "redelivered": False},
            "worker_pid": os.getpid(),
        }


def read_hint(payload: bytes, queue: str, hostname: str) -> Hint:
    """The hint in a Celery message (protocol 2, JSON) as kombu puts it into a list.

    Raises ValueError, KeyError or TypeError if it is something else.
    """
    message = loads(payload)
    headers, body = message["headers"], message["body"]
    if message["properties"].get("body_encoding") == "base64":
        body = b64decode(body)
    arguments = loads(body)[0]
    return Hint(str(headers["id"]), str(headers["task"]), tuple(arguments), queue, hostname)


class Messages:
    """Pops messages from a worker's lists. Only one thread may use it."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        self._queues = queues
        self._client: Any = broker_client(BLOCK_S + 10.0)  # its annotations leave types open
        self._many = True  # the server lets us use BLMPOP: Redis from 7.0 on, and Valkey

    def pop(self, most: int) -> tuple[str, list[bytes]]:
        """At most `most` messages of the first queue that has some, after at most BLOCK_S seconds.

        Kombu puts in on the left, so the oldest is on the right. Raises redis.RedisError.
        """
        if self._many:
            try:
                popped = self._client.blmpop(
                    BLOCK_S, len(self._queues), *self._queues, direction="RIGHT", count=most
                )
            except redis.ResponseError as error:
                forbidden = isinstance(error, redis.exceptions.NoPermissionError)
                if not forbidden and "unknown command" not in str(error).lower():
                    raise
                self._many = False
            else:
                return (popped[0].decode(), popped[1]) if popped else ("", [])
        first = self._client.brpop(list(self._queues), timeout=BLOCK_S)
        if first is None:
            return "", []
        queue, payload = first[0].decode(), first[1]
        more = self._client.rpop(queue, most - 1) if most > 1 else None
        return queue, [payload, *(more or [])]

    def put_back(self, queue: str, payloads: list[bytes]) -> None:
        """Return messages to the end that they were popped from."""
        self._client.rpush(queue, *reversed(payloads))

    def close(self) -> None:
        self._client.close()


class Threads:
    """The worker's threads, and how many of them are free.

    `keep` of them are kept free from backfills, which also leave those `promised` to interactive
    hints that may arrive at any moment.
    """

    def __init__(self, executor: ThreadPoolExecutor, count: int, keep: int = 0) -> None:
        self._executor = executor
        self._free = count
        self._keep = keep
        self._promised = 0
        self._changed = threading.Condition()

    def wait_for_free(self, within_s: float) -> int:
        """How many threads are free, after at most `within_s` seconds if none is."""
        with self._changed:
            if self._free == 0:
                self._changed.wait(within_s)
            return self._free

    def promise(self, most: int) -> int:
        """Promise at most `most` free threads to the next interactive hints; returns how many.

        If some are kept free from backfills, it is these or half of the free ones: backfills get
        the others.
        """
        with self._changed:
            if self._keep:
                most = min(most, max(self._keep, self._free // 2))
            self._promised = min(self._free, most)
            return self._promised

    def keep_promise(self) -> None:
        """The threads that were promised have work, or nothing arrived."""
        with self._changed:
            self._promised = 0
            self._changed.notify_all()

    def wait_for_backfills(self, within_s: float) -> int:
        """How many threads are free for backfills, after at most `within_s` seconds if none is."""
        with self._changed:
            if self._free_for_backfills() <= 0:
                self._changed.wait(within_s)
            return self._free_for_backfills()

    def take_for_backfills(self, most: int) -> int:
        """Take at most `most` threads that are free for backfills; returns how many. From now on
        they are promised to nobody else: each is for a `run`, or is given back.
        """
        with self._changed:
            taken = min(most, self._free_for_backfills())
            self._free -= taken
            return taken

    def _free_for_backfills(self) -> int:
        return max(0, self._free - max(self._keep, self._promised))

    def run(self, work: Callable[..., None], *arguments: object, taken: bool = False) -> None:
        """Run `work` in a thread, or in one that was `taken` for it. Raises RuntimeError once the
        pool is shut down.
        """
        if not taken:
            with self._changed:
                self._free -= 1
        try:
            self._executor.submit(self._work, work, *arguments)
        except RuntimeError:
            self.give_back(1)
            raise

    def _work(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        finally:
            self.give_back(1)

    def give_back(self, count: int) -> None:
        """So many threads are free again."""
        with self._changed:
            self._free += count
            self._changed.notify_all()


class TakeHints(bootsteps.StartStopStep):
    """Takes hints while the worker is connected to the broker; started again with each connection.

    If the worker keeps threads free from backfills, a thread of its own takes the hints of those.
    The hints that were taken go on after its stop.
    """

    requires = (Tasks, BatchedEvents)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._consumer = consumer
        self._events: TaskEvents = consumer.task_events
        self._queues = tuple(consumer.app.amqp.queues.consume_from)
        self._keep = 0
        self._threads: Threads | None = None
        self._stop = threading.Event()
        self._takers: list[threading.Thread] = []
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        if self._threads is None:
            count = consumer.pool.num_processes
            self._keep = kept_free(self._queues, count)
            self._threads = Threads(consumer.pool.executor, count, self._keep)
        self._stop.clear()
        backfills = tuple(name for name in self._queues if self._keep and name in BACKFILLS)
        others = tuple(name for name in self._queues if name not in backfills)
        self._takers = [self._started(self._take, others)]
        if backfills:
            self._takers.append(self._started(self._take_backfills, backfills))

    def _started(
        self, take: Callable[[Threads, Messages], None], queues: tuple[str, ...]
    ) -> threading.Thread:
        def run(threads: Threads) -> None:
            messages = Messages(queues)
            try:
                while not self._stop.is_set():
                    try:
                        take(threads, messages)
                    except (redis.RedisError, OSError) as error:
                        log.warning("broker_away", error=type(error).__name__)
                        self._stop.wait(AWAY_S)
            finally:
                messages.close()

        taker = threading.Thread(target=run, args=(self._threads,), name="take-hints", daemon=True)
        taker.start()
        return taker

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery passes it
        self._stop.set()
        for taker in self._takers:
            taker.join()
        self._takers = []

    def _take(self, threads: Threads, messages: Messages) -> None:
        if not threads.wait_for_free(BLOCK_S) or self._stop.is_set():
            return
        try:
            promised = threads.promise(MOST_AT_ONCE)
            if promised:
                self._run_all(threads, messages, *messages.pop(promised))
        finally:
            threads.keep_promise()

    def _take_backfills(self, threads: Threads, messages: Messages) -> None:
        free = threads.wait_for_backfills(BLOCK_S)
        if not free or self._stop.is_set():
            return
        queue, payloads = messages.pop(min(free, MOST_BACKFILLS))
        # Interactive hints may have taken threads meanwhile.
        taken = threads.take_for_backfills(len(payloads))
        surplus, payloads = payloads[taken:], payloads[:taken]
        if surplus:
            self._put_back(messages, queue, surplus)
        self._run_all(threads, messages, queue, payloads, taken=True)

    def _run_all(
        self,
        threads: Threads,
        messages: Messages,
        queue: str,
        payloads: list[bytes],
        *,
        taken: bool = False,
    ) -> None:
        if self._stop.is_set() and payloads:
            if taken:
                threads.give_back(len(payloads))
            self._put_back(messages, queue, payloads)
            return
        for payload in payloads:
            self._run_soon(threads, queue, payload, taken=taken)

    @staticmethod
    def _put_back(messages: Messages, queue: str, payloads: list[bytes]) -> None:
        # If this fails, the dispatcher finds the hints lost and sends them again.
        with suppress(redis.RedisError, OSError):
            messages.put_back(queue, payloads)

    def _run_soon(self, threads: Threads, queue: str, payload: bytes, *, taken: bool) -> None:
        try:
            hint = read_hint(payload, queue, self._consumer.hostname)
            task = self._consumer.app.tasks[hint.name]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("hint_unreadable", queue=queue, error=type(error).__name__)
            if taken:
                threads.give_back(1)
            return
        state.task_reserved(hint)
        self._events.received(hint.id, hint.name, hint.arguments)
        with suppress(RuntimeError):  # the pool was shut down; the hint is recovered
            threads.run(self._run, hint, task.run, taken=taken)

    def _run(self, hint: Hint, task: Callable[..., None]) -> None:
        """Run one hint and report it to Flower. The tasks log their own failures."""
        hint.time_start = time.time()
        started = time.monotonic()
        _here.queue = hint.queue
        state.task_accepted(hint)
        self._events.started(hint.id)
        try:
            task(*hint.arguments)
        except Exception as error:
            self._events.failed(hint.id, repr(error))
        else:
            self._events.succeeded(hint.id, time.monotonic() - started)
        finally:
            state.task_ready(hint)
