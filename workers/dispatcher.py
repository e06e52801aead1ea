"""The dispatcher: turns ready rows into hints, and takes up what others left.

Two threads. One chooses and publishes, woken by NOTIFY and by its own clock; the other watches
leases, lost hints and deadlines once a second, so that a broker that hangs delays no recovery. Any
number of dispatchers may run.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
import structlog
from celery import Celery
from psycopg_pool import ConnectionPool

from tierline.base import lean_start, logs
from tierline.base.errors import TierlineError
from tierline.base.settings import Settings, settings
from tierline.rules import queues
from tierline.rules.leases import AliveWatch, HintWatch, LeaseWatch
from tierline.services.batches.finish_batches import complete_finished
from tierline.services.jobs.beats import WorkerBeat, read_beats, remove_gone
from tierline.services.jobs.dispatch import Dispatch, pools_with_jobs
from tierline.services.jobs.hints import hints_out, take_back
from tierline.services.jobs.recover import claims_in_sight, expire_overdue, recover_lost
from tierline.services.processes.connections import (
    PASSING,
    check_database_url,
    dispatcher_pool,
)
from tierline.services.processes.wake_ups import listen_for_work
from tierline.services.webhooks import dispatch as deliveries
from workers.hints import BROKER_AWAY, Lists, publish

log = structlog.get_logger(__name__)

T = TypeVar("T")

WATCH_LOCK_MS = 250  # how long the watcher waits for a lock
LOOK_S = 1.0  # between two looks at leases and hints
GATHER_S = 0.01
"""Between a choice that found something and the next: a choice for each job that comes would cost
more than the jobs do."""
FULL_GATHER_S = 0.025
"""… while more waits than there is room for. The hints beyond the idle threads feed the workers
meanwhile."""
GONE_LEASES = 4  # a worker's row that stands still for so many leases is removed
BROKER_WAIT_S = 1.0  # before publishing is tried again on a broker that was away
MOST_NAMED = 20  # jobs in one line of the log
SPARE_DELIVERIES = 8  # webhook deliveries that may wait in the broker beyond the idle threads


class Dispatcher:
    """One dispatcher process."""

    def __init__(self, config: Settings, app: Celery) -> None:
        self._settings = config
        self._app = app
        self._pool = dispatcher_pool(config.database, "dispatcher", 2)
        self._dispatch = Dispatch(
            config.hints_out, config.max_jobs_in_progress, config.rate_limits, config.hold_s
        )
        self._stop = threading.Event()
        self._again = threading.Event()  # set by the watcher: choose without waiting to be woken
        self._sweep_due = threading.Event()  # set by the watcher, until the sweep's message is out
        self._threads: Mapping[str, int] = {}  # queue → threads of the live workers that take it
        self._failure: str | None = None

    def run(self) -> str | None:
        """Until told to stop. Returns what ended it before that, None for nothing."""
        self._pool.open()
        watcher = threading.Thread(target=self._watch, name="watcher")
        watcher.start()
        try:
            self._choose_until_stopped()
        except Exception as error:
            self._fail("choosing", error)
        finally:
            self._stop.set()
            watcher.join(timeout=20.0)
            self._pool.close()
        return self._failure

    def _watch(self) -> None:
        try:
            with Watcher(self._settings, self) as watcher:
                watcher.run()
        except Exception as error:
            self._fail("watching", error)

    def _fail(self, doing: str, error: Exception) -> None:
        """End the process: one thread without the other would strand jobs, and nobody would see."""
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
            self._failure = "the database is not at this version: run 'tierline db upgrade'"
        else:
            self._failure = f"{doing} failed: {type(error).__name__}"
            log.error(
                "dispatcher_failed",
                doing=doing,
                error=type(error).__name__,
                at=logs.frames_of(error),
            )
        self._stop.set()

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopping(self) -> threading.Event:
        return self._stop

    @property
    def pool(self) -> ConnectionPool[Any]:
        return self._pool

    def see_threads(self, threads: Mapping[str, int]) -> None:
        """What the live workers offer, by queue; told by the watcher."""
        if threads != self._threads:
            self._threads = threads
            self._again.set()

    def choose_again(self) -> None:
        """Something was put back into the queues."""
        self._again.set()

    def sweep(self) -> None:
        """It is time for the sweep. Sent by the thread that chooses: a broker that hangs must not
        keep the watcher from looking at leases."""
        self._sweep_due.set()
        self._again.set()

    def _choose_until_stopped(self) -> None:
        ears: psycopg.Connection[Any] | None = None
        while not self._stop.is_set():
            try:
                if ears is None:
                    ears = listen_for_work(self._settings.database, "dispatcher-listen")
                self._again.clear()
                gather_s = self._choose_once()
                if gather_s is not None:
                    time.sleep(gather_s)  # there may be more: nobody need wake us
                    for _ in ears.notifies(timeout=0):  # unread, they would fill the socket
                        pass
                    continue
                self._wait(ears)
            except PASSING as error:
                log.warning("database_away", error=type(error).__name__)
                if ears is not None:
                    ears.close()
                ears = None
                self._stop.wait(0.5)
        if ears is not None:
            ears.close()

    def _wait(self, ears: psycopg.Connection[Any]) -> None:
        if self._again.is_set():
            return
        for _ in ears.notifies(timeout=self._settings.poll_s, stop_after=1):
            pass

    def _choose_once(self) -> float | None:
        """One choice for each pool. Seconds to wait before the next; None: nothing went out.

        What was chosen goes out even if a later choice fails: it is marked, and nobody else would
        publish it before its hints are found lost.
        """
        chosen: dict[UUID, str] = {}
        due: list[UUID] = []
        full = False
        try:
            for name in pools_with_jobs(self._pool):
                choice = self._dispatch.choose(self._pool, name, self._threads.get(name, 0))
                chosen |= choice.queue_of
                full = full or choice.full
            due = self._choose_deliveries()
        except PASSING:
            self._send(chosen, due)
            raise
        if not self._send(chosen, due):
            return None
        return FULL_GATHER_S if full else GATHER_S

    def _send(self, chosen: Mapping[UUID, str], due: list[UUID]) -> bool:
        """Publish hints of jobs and of deliveries, and the sweep's. Whether any went out."""
        sweep = self._sweep_due.is_set()
        if not chosen and not due and not sweep:
            return False
        messages: list[tuple[str, tuple[str, ...]]] = []
        messages += [(queue, (str(job_id),)) for job_id, queue in chosen.items()]
        messages += [(queues.WEBHOOKS, (str(delivery_id),)) for delivery_id in due]
        if sweep:
            messages.append((queues.MAINTENANCE, ()))
        try:
            publish(self._app, messages)
        except BROKER_AWAY as error:
            log.warning("broker_away", error=type(error).__name__, hints=len(messages))
            take_back(self._pool, chosen.keys(), due)
            self._stop.wait(BROKER_WAIT_S)
            return False
        if sweep:
            self._sweep_due.clear()
        return True

    def _choose_deliveries(self) -> list[UUID]:
        threads = self._threads.get(queues.WEBHOOKS, 0)
        most = self._settings.webhook_max_in_flight
        return deliveries.choose(self._pool, threads, SPARE_DELIVERIES, most)


class Watcher:
    """Looks once a second for what nobody else will end. To be used in a `with`.

    Each step stands alone: one that fails is tried again at the next look, and keeps no other from
    being done. Only leases whose beats or claims could not be read have their whole time again. Its
    statements wait for no lock for long, because a look that takes too long sees nothing.
    """

    def __init__(self, config: Settings, dispatcher: Dispatcher) -> None:
        self._settings = config
        self._dispatcher = dispatcher
        self._pool = dispatcher_pool(
            config.database, "dispatcher-watch", 2, lock_wait_ms=WATCH_LOCK_MS
        )
        self._leases = LeaseWatch(config.lease_s, blind_s=config.lease_s / 2)
        self._deliveries = LeaseWatch(config.lease_s, blind_s=config.lease_s / 2)
        self._alive = AliveWatch(config.lease_s)
        self._hints = HintWatch(config.hint_lost_s)
        self._lists: Lists | None = None
        self._swept_s = time.monotonic()

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        if self._lists is not None:
            self._lists.close()

    def run(self) -> None:
        """Until the dispatcher stops."""
        while not self._dispatcher.stopping.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """One look, all its steps."""
        now_s = time.monotonic()
        rows = self._step("reading beats", lambda: read_beats(self._pool))
        if rows is None:
            self._leases.interrupted()
            self._deliveries.interrupted()
        else:
            by_token = {token: (row.worker, row.beat) for row in rows for token in row.tokens}
            self._step("recovering lost jobs", lambda: self._recover(by_token))
            self._step("taking back deliveries", lambda: self._take_back(by_token))
            self._see_threads(now_s, rows)
            self._step("removing workers", lambda: self._remove_workers(now_s, rows))
        self._step("expiring jobs", lambda: expire_overdue(self._pool))
        self._step("completing batches", self._complete_batches)
        self._step("finding lost hints", self._find_lost_hints)
        self._sweep(time.monotonic())

    def _step(self, doing: str, do: Callable[[], T]) -> T | None:
        """What the step returns; None where it failed, which is logged."""
        try:
            return do()
        except PASSING as error:
            log.warning("watch_step_failed", step=doing, error=type(error).__name__)
            return None

    def _recover(self, by_token: Mapping[UUID, tuple[UUID, int]]) -> None:
        try:
            running = claims_in_sight(self._pool)
        except PASSING:
            self._leases.interrupted()
            raise
        lost = self._leases.look(time.monotonic(), running, by_token)
        if lost and recover_lost(self._pool, lost):
            self._dispatcher.choose_again()

    def _take_back(self, by_token: Mapping[UUID, tuple[UUID, int]]) -> None:
        try:
            delivering = deliveries.tries_in_flight(self._pool)
        except PASSING:
            self._deliveries.interrupted()
            raise
        late = self._deliveries.look(time.monotonic(), delivering, by_token)
        if not late:
            return
        deliveries.take_back_lost(self._pool, late)
        self._dispatcher.choose_again()

    def _complete_batches(self) -> None:
        with self._pool.connection() as connection:
            complete_finished(connection)

    def _see_threads(self, now_s: float, rows: list[WorkerBeat]) -> None:
        alive = self._alive.look(now_s, {row.worker: row.beat for row in rows})
        threads: dict[str, int] = {}
        for row in rows:
            if row.worker in alive:
                for queue in row.queues:
                    threads[queue] = threads.get(queue, 0) + row.threads
        self._dispatcher.see_threads(threads)

    def _remove_workers(self, now_s: float, rows: list[WorkerBeat]) -> None:
        gone = {}
        for row in rows:
            since_s = self._alive.still_since_s(row.worker)
            if since_s is not None and now_s - since_s > GONE_LEASES * self._settings.lease_s:
                gone[row.worker] = row.beat
        if gone:
            remove_gone(self._pool, gone)

    def _find_lost_hints(self) -> None:
        now_s = time.monotonic()
        out = hints_out(self._pool)
        queue_of = {number: queue for number, (_, queue) in out.jobs.items()}
        queue_of |= dict.fromkeys(out.deliveries, queues.WEBHOOKS)
        if not queue_of:
            self._hints.look(now_s, {}, ())
            return
        lost = set(self._hints.look(now_s, queue_of, self._empty_queues()))
        if not lost:
            return
        lost_jobs = [out.jobs[number][0] for number in sorted(lost) if number in out.jobs]
        job_ids = [str(job_id) for job_id in lost_jobs[:MOST_NAMED]]
        log.info("hints_lost", count=len(lost), job_ids=job_ids)
        self._dispatcher.choose_again()
        lost_deliveries = [out.deliveries[number] for number in lost if number in out.deliveries]
        take_back(self._pool, lost_jobs, lost_deliveries)

    def _empty_queues(self) -> set[str]:
        """Which queues the broker has nothing for; none while it cannot be asked."""
        try:
            if self._lists is None:
                self._lists = Lists()
            return self._lists.empty()
        except BROKER_AWAY:
            return set()

    def _sweep(self, now_s: float) -> None:
        if now_s - self._swept_s >= self._settings.sweep_s:
            self._swept_s = now_s
            self._dispatcher.sweep()


def main() -> int:
    """Run until SIGTERM or Ctrl-C; exit code 2 when a setting is missing."""
    try:
        logs.configure("dispatcher")
        config = settings()
        check_database_url(config.database)  # said before Celery is told of the broker
        from workers.app import app

        dispatcher = Dispatcher(config, app)
    except TierlineError as error:
        print(f"tierline: {error.message}", file=sys.stderr)
        return 2

    def stop(*_: object) -> None:
        # Not here: this thread may be inside the lock of the event that stopping sets.
        threading.Thread(target=dispatcher.stop, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    lean_start.finish()
    log.info("dispatcher_ready")
    failure = dispatcher.run()
    if failure is not None:
        print(f"dispatcher: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
