"""The state of a worker process: its pool, its heartbeat, its executor; and its stop.

The thread pool ignores Celery's time limits and its second SIGTERM, so this module does the stop.
After the first SIGTERM (or Ctrl-C) it takes no new hint and lets running calls end within the grace
period. After the second one, or at the end of the grace period, it gives its jobs back and exits.
"""

import os
import signal
import threading
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from celery import signals
from psycopg_pool import ConnectionPool

from tierline import providers
from tierline.base import lean_start
from tierline.base.settings import settings
from tierline.rules.queues import MAINTENANCE
from tierline.services.jobs.running.execute import Executor
from tierline.services.jobs.running.recover import release
from tierline.services.processes.connections import worker_pool
from tierline.services.processes.wake_ups import Notifier
from workers.heartbeat import Heartbeat
from workers.memory import keep_trimmed

if TYPE_CHECKING:
    from workers.maintenance import Maintenance

log = structlog.get_logger(__name__)

ROUNDS = 2  # of maintenance; each holds a connection


class Worker:
    """The state of this worker process; made when Celery starts, before the first hint."""

    def __init__(self, name: str, queues: tuple[str, ...], threads: int) -> None:
        config = settings()
        self.name = name
        self.queues = queues
        self.pool = worker_pool(
            config.database,
            name,
            min(config.pool_size, threads + (ROUNDS if MAINTENANCE in queues else 1)),
            by_index=MAINTENANCE not in queues,
        )
        self.heartbeat = Heartbeat(config.database, name, queues, threads, config.beat_s)
        self.notifier = Notifier(config.database, name)
        self._leaving = threading.Event()
        self.executor = Executor(
            pool=self.pool,
            settings=config,
            queues=queues,
            worker=name,
            leases=self.heartbeat,
            wake_ups=self.notifier,
            stopping=self._leaving.is_set,
        )
        self._maintenance = (
            _maintenance(self.pool, timedelta(seconds=config.drift_look_s))
            if MAINTENANCE in queues
            else None
        )

    @property
    def maintenance(self) -> "Maintenance":
        """Raises RuntimeError if this worker does not serve the queue `maintenance`."""
        if self._maintenance is None:
            raise RuntimeError(f"worker {self.name} has no queue {MAINTENANCE}")
        return self._maintenance

    def start(self) -> None:
        self.pool.open()
        self.heartbeat.start()
        self.notifier.start()
        if self._maintenance is not None:
            self._maintenance.start()
        keep_trimmed()

    def stop(self) -> None:
        """Called after the last attempt has ended."""
        self._leaving.set()
        if self._maintenance is not None:
            self._maintenance.stop()
        self.heartbeat.stop()
        self.notifier.stop()
        self.pool.close()
        providers.close()

    def leave_now(self) -> None:
        """Give back the held jobs and exit, whatever the threads are doing."""
        self._leaving.set()
        held = self.heartbeat.held_jobs()
        try:
            moved = release(self.pool, held) if held else []
            if moved:
                self.notifier.ready()
            self.heartbeat.stop()
            self.notifier.stop()
            log.warning("left_at_once", claims=len(held), given_back=len(moved))
        except (psycopg.Error, OSError) as error:
            # Their leases are recovered instead.
            log.warning("left_at_once", claims=len(held), error=type(error).__name__)
        finally:
            os._exit(0)


def _maintenance(pool: ConnectionPool[Any], look: timedelta) -> "Maintenance":
    from workers.maintenance import Maintenance  # slow, and the other workers do not need it

    return Maintenance(pool, look)


_worker: Worker | None = None


def worker() -> Worker:
    """This process's worker. Raises RuntimeError in other processes."""
    if _worker is None:
        raise RuntimeError("tasks run in a worker: start one with python -m workers")
    return _worker


def install(name: str, queues: tuple[str, ...], threads: int) -> None:
    """Make this process a worker when Celery is about to start it."""

    # Not at `worker_init`: Celery sets variables of the environment after that, and libpq, which
    # reads some in the threads of the worker, may crash the process meanwhile.
    @signals.celeryd_after_setup.connect(weak=False)
    def _start(**_: Any) -> None:
        global _worker  # noqa: PLW0603 - one per process, as Celery's own state is
        _worker = Worker(name, queues, threads)
        _worker.start()

    @signals.worker_ready.connect(weak=False)
    def _ready(**_: Any) -> None:
        _take_signals(worker())
        lean_start.finish()
        worker().notifier.ready()
        log.info("worker_ready", queues=list(queues), threads=threads)

    @signals.worker_shutdown.connect(weak=False)
    def _shutdown(**_: Any) -> None:
        worker().stop()


def _take_signals(running: Worker) -> None:
    """Leave the first SIGTERM and SIGINT to Celery; measure the grace period; handle the second
    signal.
    """
    warm = signal.getsignal(signal.SIGTERM)
    if not callable(warm):
        return
    stopping = threading.Event()

    def stop(_: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            threading.Thread(target=running.leave_now, name="leave").start()
            return
        stopping.set()
        grace = threading.Timer(settings().grace_s, running.leave_now)
        grace.daemon = True
        grace.start()
        warm(signal.SIGTERM, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
