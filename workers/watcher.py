"""The dispatcher's watcher: checks once a second for work that would otherwise never end.

Lost leases of jobs and operations, hints that no worker will get, passed deadlines, interrupted
webhook tries, batches whose jobs have all ended. It has its own thread, so that a hanging broker
delays no recovery.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, Self, TypeVar
from uuid import UUID

import structlog

from tierline.base.settings import Settings
from tierline.rules import queues
from tierline.rules.leases import AliveWatch, HintWatch, LeaseWatch
from tierline.services.batches.finish_batches import complete_finished
from tierline.services.jobs.dispatching.hints import hints_out, take_back
from tierline.services.jobs.dispatching.out_jobs import OutJobs
from tierline.services.jobs.running.beats import WorkerBeat, read_beats, remove_gone
from tierline.services.jobs.running.recover import claims_in_sight, expire_overdue, recover_lost
from tierline.services.operations.kinds import KINDS
from tierline.services.operations.leases import OperationLeases
from tierline.services.processes.connections import PASSING, dispatcher_pool
from tierline.services.upkeep.partitions import keep_ahead
from tierline.services.webhooks import dispatch as deliveries
from workers.hints import BROKER_AWAY, Lists

log = structlog.get_logger(__name__)

T = TypeVar("T")

WATCH_LOCK_MS = 250  # how long the watcher waits for a lock
LOOK_S = 1.0  # between two checks of leases and hints
GONE_LEASES = 4  # a worker's row that has not changed for so many leases is removed
PARTITIONS_S = 60.0  # between two checks for partitions to make
MOST_NAMED = 20  # jobs named in one log line
MOST_MAINTENANCE = 32
"""Messages of the queue `maintenance` that may wait in the broker. A worker may hang although it
beats, and then nobody takes them. Beyond that none is sent: they would all do the same."""


class Chooser(Protocol):
    """The part of the choosing thread that the watcher uses."""

    @property
    def stopping(self) -> threading.Event: ...

    def see_threads(self, threads: Mapping[str, int], kept: Mapping[str, int]) -> None:
        """The threads of the live workers, by queue, and those that they keep free from
        backfills.
        """

    @property
    def out_jobs(self) -> OutJobs:
        """The jobs whose hints this process has sent, and others that it found."""

    def choose_again(self) -> None:
        """Jobs were put back into the queues."""

    def hints_returned(self) -> None:
        """Hints were taken back, so that their jobs may be chosen again."""

    def sweep(self) -> None:
        """The sweep is due."""

    def see_maintenance(self, *, room: bool) -> None:
        """Whether more messages may wait on the queue `maintenance`."""


class Watcher:
    """Checks for work that would otherwise never end. Use it in a `with` statement.

    The steps are independent: if one fails, the others still run, and it is tried again at the next
    check. Leases whose beats or claims could not be read get their full time again. Statements wait
    only briefly for a lock, so that a check never takes long.
    """

    def __init__(self, config: Settings, chooser: Chooser) -> None:
        self._settings = config
        self._chooser = chooser
        self._pool = dispatcher_pool(
            config.database, "dispatcher-watch", 2, lock_wait_ms=WATCH_LOCK_MS
        )
        self._leases = LeaseWatch(config.lease_s, blind_s=config.lease_s / 2)
        self._deliveries = LeaseWatch(config.lease_s, blind_s=config.lease_s / 2)
        self._alive = AliveWatch(config.lease_s)
        self._operations = OperationLeases(self._pool, KINDS, config.lease_s)
        self._hints = HintWatch(config.hint_lost_s)
        self._lists: Lists | None = None
        self._swept_s = time.monotonic()
        self._partitions_s = -PARTITIONS_S  # monotonic: the last check; the first is at the start

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        if self._lists is not None:
            self._lists.close()

    def run(self) -> None:
        """Runs until the dispatcher stops."""
        while not self._chooser.stopping.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """One check with all its steps."""
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
        self._keep_partitions(now_s)
        self._step("recovering operations", self._recover_operations)
        lengths = self._waiting_messages()
        self._step("finding lost hints", lambda: self._find_lost_hints(lengths or {}))
        if lengths is not None:
            room = lengths[queues.MAINTENANCE] < MOST_MAINTENANCE
            self._chooser.see_maintenance(room=room)
        self._sweep(time.monotonic())

    def _step(self, doing: str, do: Callable[[], T]) -> T | None:
        """The step's result; None if it failed, which is logged."""
        try:
            return do()
        except PASSING as error:
            log.warning("watch_step_failed", step=doing, error=type(error).__name__)
            return None

    def _recover(self, by_token: Mapping[UUID, tuple[UUID, int]]) -> None:
        try:
            running = claims_in_sight(self._pool, self._chooser.out_jobs)
        except PASSING:
            self._leases.interrupted()
            raise
        lost = self._leases.look(time.monotonic(), running, by_token)
        if lost and recover_lost(self._pool, {token: running[token] for token in lost}):
            self._chooser.choose_again()

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
        self._chooser.choose_again()

    def _recover_operations(self) -> None:
        try:
            self._operations.look()
        except PASSING:
            self._operations.interrupted()
            raise

    def _complete_batches(self) -> None:
        with self._pool.connection() as connection:
            complete_finished(connection)

    def _keep_partitions(self, now_s: float) -> None:
        # Not in the sweep, which needs the broker: submitting must work without it.
        if now_s - self._partitions_s >= PARTITIONS_S:
            self._partitions_s = now_s
            self._step("making partitions", lambda: keep_ahead(self._pool))

    def _see_threads(self, now_s: float, rows: list[WorkerBeat]) -> None:
        alive = self._alive.look(now_s, {row.worker: row.beat for row in rows})
        threads: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        for row in rows:
            if row.worker in alive:
                for queue in row.queues:
                    threads[queue] += row.threads
                    kept[queue] += row.kept
        self._chooser.see_threads(threads, kept)

    def _remove_workers(self, now_s: float, rows: list[WorkerBeat]) -> None:
        gone = {}
        for row in rows:
            since_s = self._alive.still_since_s(row.worker)
            if since_s is not None and now_s - since_s > GONE_LEASES * self._settings.lease_s:
                gone[row.worker] = row.beat
        if gone:
            remove_gone(self._pool, gone)

    def _find_lost_hints(self, lengths: Mapping[str, int]) -> None:
        now_s = time.monotonic()
        out = hints_out(self._pool, self._chooser.out_jobs)
        queue_of = {number: queue for number, (_, queue) in out.jobs.items()}
        queue_of |= dict.fromkeys(out.deliveries, queues.WEBHOOKS)
        if not queue_of:
            self._hints.look(now_s, {}, ())
            return
        empty = {queue for queue, length in lengths.items() if length == 0}
        lost = set(self._hints.look(now_s, queue_of, empty))
        if not lost:
            return
        lost_jobs = [out.jobs[number][0] for number in sorted(lost) if number in out.jobs]
        job_ids = [str(job_id) for job_id in lost_jobs[:MOST_NAMED]]
        log.info("hints_lost", count=len(lost), job_ids=job_ids)
        lost_deliveries = [out.deliveries[number] for number in lost if number in out.deliveries]
        take_back(self._pool, lost_jobs, lost_deliveries)
        self._chooser.hints_returned()

    def _waiting_messages(self) -> dict[str, int] | None:
        """How many messages of each queue wait in the broker; None while it does not answer."""
        try:
            if self._lists is None:
                self._lists = Lists()
            return self._lists.lengths()
        except BROKER_AWAY:
            return None

    def _sweep(self, now_s: float) -> None:
        if now_s - self._swept_s >= self._settings.sweep_s:
            self._swept_s = now_s
            self._chooser.sweep()
