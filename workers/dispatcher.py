"""The dispatcher process: turns ready rows into hints, and recovers what others left.

It has two threads. This one chooses and publishes, woken by NOTIFY and by its own clock; the other
one is the `Watcher`. Several dispatchers may run: one leads, which chooses for all queues, and the
others take over when it ends, loses its connection or is frozen.
"""

import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

import psycopg
import structlog
from celery import Celery
from psycopg_pool import ConnectionPool

from tierline.base import lean_start, logs
from tierline.base.errors import TierlineError
from tierline.base.settings import Settings, settings
from tierline.rules import queues
from tierline.services.evidence.evaluation.evaluation_hints import due_evaluations
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.services.jobs.dispatching.held_batches import HeldBatches
from tierline.services.jobs.dispatching.hints import take_back
from tierline.services.jobs.dispatching.out_jobs import OutJobs
from tierline.services.operations.bulk_hints import due_bulk_actions
from tierline.services.processes.connections import (
    PASSING,
    check_database_url,
    dispatcher_pool,
)
from tierline.services.processes.wake_ups import listen_for_work
from tierline.services.webhooks import dispatch as deliveries
from workers.hints import BROKER_AWAY, publish
from workers.watcher import Watcher

log = structlog.get_logger(__name__)

GATHER_S = 0.01
"""Pause between a choice that found something and the next one. A choice for each new job would
cost more than the jobs."""
FULL_GATHER_S = 0.025
"""The same while more jobs wait than there is room for. The hints beyond the idle threads keep the
workers busy meanwhile."""
SEARCH_S = 1.0  # between two rounds of holding paused jobs and finding those no look has shown
TRY_LEAD_S = 0.5  # between two tries to take over from another dispatcher
BROKER_WAIT_S = 1.0  # before publishing is tried again after the broker was away
STEPS_S = 0.1  # the least time between two checks for due evaluations and bulk actions
NONE: Mapping[str, int] = MappingProxyType({})
SPARE_DELIVERIES = 8  # webhook deliveries that may wait in the broker beyond the idle threads


class Dispatcher:
    """One dispatcher process."""

    def __init__(self, config: Settings, app: Celery) -> None:
        self._settings = config
        self._app = app
        self._pool = dispatcher_pool(config.database, "dispatcher", 4)
        self._dispatch = Dispatch(
            config.hints_out, config.max_jobs_in_progress, config.rate_limits, config.hold_s
        )
        self._held_batches = HeldBatches()
        self._stop = threading.Event()
        self._again = threading.Event()  # set by the watcher: choose now
        self._sweep_due = threading.Event()  # set by the watcher, until the sweep's message is sent
        self._threads: Mapping[str, int] = {}  # queue → threads of the live workers for it
        self._kept: Mapping[str, int] = {}  # queue → those of them that backfills cannot take
        self._maintenance_room = True  # fewer messages than allowed wait on that queue
        self._steps_at = 0.0  # monotonic: the time of the next check
        self._leading: psycopg.Connection[Any] | None = None  # the connection that holds the lead
        self._lead_at = 0.0  # monotonic: the time of the next try
        self._failure: str | None = None

    def run(self) -> str | None:
        """Run until it is stopped. Returns the failure that ended it, or None."""
        self._pool.open()
        beside = [
            threading.Thread(target=self._watch, name="watcher"),
            threading.Thread(target=self._search, name="search"),
        ]
        for thread in beside:
            thread.start()
        try:
            self._choose_until_stopped()
        except Exception as error:
            self._fail("choosing", error)
        finally:
            self._stop.set()
            for thread in beside:
                thread.join(timeout=20.0)
            self._give_up_lead()
            self._pool.close()
        return self._failure

    def _watch(self) -> None:
        try:
            with Watcher(self._settings, self) as watcher:
                watcher.run()
        except Exception as error:
            self._fail("watching", error)

    def _search(self) -> None:
        try:
            while not self._stop.wait(SEARCH_S):
                try:
                    if self._held_batches.look(self._pool, lambda: not self._stop.is_set()):
                        self.hints_returned()
                    self._dispatch.search(self._pool)
                except PASSING as error:
                    log.warning("search_failed", error=type(error).__name__)
        except Exception as error:
            self._fail("searching", error)

    def _fail(self, doing: str, error: Exception) -> None:
        """End the process: with one thread alone, jobs would wait, and the reason would be
        hidden.
        """
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

    def see_threads(self, threads: Mapping[str, int], kept: Mapping[str, int] = NONE) -> None:
        """Store the number of threads of the live workers, by queue, and how many of these they
        keep free from backfills.
        """
        if threads != self._threads or kept != self._kept:
            self._threads, self._kept = threads, kept
            self._again.set()

    def choose_again(self) -> None:
        """Jobs were put back into the queues, so choose now."""
        self._again.set()

    @property
    def out_jobs(self) -> OutJobs:
        return self._dispatch.out_jobs

    def hints_returned(self) -> None:
        """Hints of jobs were taken back, or held jobs let go, so choose now."""
        self._dispatch.returned()
        self._again.set()

    def sweep(self) -> None:
        """The sweep is due. The choosing thread sends it, so that a hanging broker does not keep
        the watcher from checking leases."""
        self._sweep_due.set()
        self._again.set()

    def see_maintenance(self, *, room: bool) -> None:
        """Store whether more messages may wait on the queue `maintenance`."""
        self._maintenance_room = room

    def _choose_until_stopped(self) -> None:
        ears: psycopg.Connection[Any] | None = None
        while not self._stop.is_set():
            try:
                if ears is None:
                    ears = listen_for_work(self._settings.database, "dispatcher-listen")
                self._again.clear()
                gather_s = self.choose_once()
                if gather_s is not None:
                    time.sleep(gather_s)  # there may be more, for which no wake-up comes
                    # otherwise unread wake-ups would fill the socket
                    for _ in ears.notifies(timeout=0):
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

    def choose_once(self) -> float | None:
        """Make one choice for each pool. Returns seconds until the next one; None: there is
        nothing to do for now.

        Chosen jobs are published even if a later choice fails: their rows are marked, and nobody
        else would publish them before their hints count as lost.
        """
        chosen: dict[UUID, str] = {}
        full = False
        try:
            connection = self.lead()
            if connection is not None:
                for name in self._dispatch.look(connection):
                    threads, kept = self._threads.get(name, 0), self._kept.get(name, 0)
                    choice = self._dispatch.choose_on(connection, name, threads, kept)
                    chosen |= choice.queue_of
                    full = full or choice.full
        except PASSING:
            self._give_up_lead()
            self._send(chosen)
            raise
        # Jobs first: what else is due takes a statement to find.
        sent = self._send(chosen)
        if sent is not False:
            try:
                sent = self._send_others() or sent
            except PASSING:
                self._give_up_lead()
                raise
        if full:
            return FULL_GATHER_S
        return GATHER_S if sent else None

    def lead(self) -> psycopg.Connection[Any] | None:
        """The connection on which this dispatcher chooses; None while another one leads."""
        now = time.monotonic()
        if self._leading is None and now >= self._lead_at:
            self._lead_at = now + TRY_LEAD_S
            connection = self._pool.getconn()
            try:
                leads = self._dispatch.lead(connection)
            except BaseException:
                connection.close()
                self._pool.putconn(connection)
                raise
            if leads:
                log.info("dispatcher_leads")
                self._leading = connection
            else:
                self._pool.putconn(connection)
        return self._leading

    def _give_up_lead(self) -> None:
        """Close the connection that leads: another dispatcher may take over, or this one again."""
        if self._leading is not None:
            self._leading.close()
            self._pool.putconn(self._leading)
            self._leading = None
            self._lead_at = 0.0

    def _send(
        self,
        chosen: Mapping[UUID, str],
        due: Sequence[UUID] = (),
        steps: Sequence[int | UUID] = (),
    ) -> bool | None:
        """Publish hints for jobs, deliveries, steps and the sweep. Returns whether the broker took
        them; None: there was nothing to publish.
        """
        sweep = self._sweep_due.is_set() and self._maintenance_room
        if not chosen and not due and not steps and not sweep:
            return None
        messages: list[tuple[str, tuple[str, ...]]] = []
        messages += [(queue, (str(job_id),)) for job_id, queue in chosen.items()]
        messages += [(queues.WEBHOOKS, (str(delivery_id),)) for delivery_id in due]
        messages += [(queues.MAINTENANCE, (str(id),)) for id in steps]
        if sweep:
            messages.append((queues.MAINTENANCE, ()))
        try:
            publish(self._app, messages)
        except BROKER_AWAY as error:
            log.warning("broker_away", error=type(error).__name__, hints=len(messages))
            take_back(self._pool, chosen.keys(), due)
            self._dispatch.returned()
            self._stop.wait(BROKER_WAIT_S)
            return False
        if sweep:
            self._sweep_due.clear()
        return True

    def _send_others(self) -> bool | None:
        """As `_send`, for deliveries and steps. Deliveries are published even if looking for steps
        fails: their rows are marked.
        """
        due = self._choose_deliveries()
        try:
            steps = self._due_steps()
        except PASSING:
            self._send({}, due)
            raise
        return self._send({}, due, steps)

    def _due_steps(self) -> list[int | UUID]:
        """The evaluations and bulk actions to step now; empty while no live worker takes the hints,
        which would only fill the broker. A hint that is not sent is repeated later, like a lost
        one.
        """
        now = time.monotonic()
        can_run = self._threads.get(queues.MAINTENANCE) and self._maintenance_room
        if now < self._steps_at or not can_run:
            return []
        self._steps_at = now + STEPS_S
        return [*due_evaluations(self._pool), *due_bulk_actions(self._pool)]

    def _choose_deliveries(self) -> list[UUID]:
        threads = self._threads.get(queues.WEBHOOKS, 0)
        most = self._settings.webhook_max_in_flight
        return deliveries.choose(self._pool, threads, SPARE_DELIVERIES, most)


def main() -> int:
    """Run until SIGTERM or Ctrl-C; exit code 2 if a setting is missing."""
    try:
        logs.configure("dispatcher")
        config = settings()
        check_database_url(config.database)  # fail before Celery connects to the broker
        from workers.app import app

        dispatcher = Dispatcher(config, app)
    except TierlineError as error:
        print(f"tierline: {error.message}", file=sys.stderr)
        return 2

    def stop(*_: object) -> None:
        # Not here: this thread may hold the lock of the event that stopping sets.
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
