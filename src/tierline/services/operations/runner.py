"""Runs operations one at a time: claims one, runs its child process, keeps its lease, ends it.

Other processes watch the lease (`leases.py`), so that the operation of a killed runner is requeued.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.ids import new_id
from tierline.base.settings import Settings
from tierline.rules.jobs import Status
from tierline.rules.operations import Change, after_exit, after_limit
from tierline.services.operations.leases import OperationLeases, end, is_cancelled
from tierline.storage.db.repeat import PASSING
from tierline.storage.operations import operations
from tierline.views.operations.operations import OperationRow

log = structlog.get_logger(__name__)

Child = subprocess.Popen[bytes]
Spawn = Callable[[Sequence[str], Mapping[str, str]], Child]
"""Starts a program in its own session. The program ends when this process ends."""

POLL_S = 0.25  # between two attempts to claim an operation
WAIT_S = 0.1  # between two checks of the child
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""By default, linear algebra libraries start one thread per core. That would take CPU time from the
workers."""


def child_command(token: UUID) -> list[str]:
    """The command that does the operation of this claim token."""
    return [sys.executable, "-m", "tierline.services.operations.child", str(token)]


class Runner:
    """The runner of one process. Call its methods from one thread only, because the kernel ends the
    child when the thread that started it ends.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        config: Settings,
        kinds: Collection[str],
        spawn: Spawn,
        command: Callable[[UUID], Sequence[str]] = child_command,
    ) -> None:
        self._pool = pool
        self._settings = config
        self._kinds = kinds
        self._spawn = spawn
        self._command = command
        self._leases = OperationLeases(pool, kinds, config.lease_s)

    def run(self, stopping: threading.Event) -> None:
        """Run until `stopping` is set. The operation in progress is then requeued."""
        while not stopping.is_set():
            try:
                self._leases.look()
                row, token = self._claim()
            except PASSING as error:
                log.warning("database_away", error=type(error).__name__)
                self._leases.interrupted()
                row = None
            if row is None:
                stopping.wait(POLL_S)
            else:
                self._do(row, token, stopping)

    def _claim(self) -> tuple[OperationRow | None, UUID]:
        token = new_id()
        with self._pool.connection() as connection:
            return operations.claim(connection, token, self._kinds), token

    def _do(self, row: OperationRow, token: UUID, stopping: threading.Event) -> None:
        facts = {"operation_id": row["id"], "kind": row["kind"], "feature": row["feature"]}
        log.info("operation_started", **facts)
        child = self._spawn(self._command(token), {**os.environ, **ONE_THREAD})
        until_s = time.monotonic() + self._settings.operation_max_s
        try:
            ended = self._follow(child, token, stopping, until_s)
            overdue = child.poll() is None and time.monotonic() >= until_s
        finally:
            kill(child)
        if not ended:
            return  # another process may have claimed it
        change = self._ended(child, token, stopped=stopping.is_set(), overdue=overdue)
        log.info("operation_ended", **facts, status=None if change is None else change.status.value)

    def _follow(self, child: Child, token: UUID, stopping: threading.Event, until_s: float) -> bool:
        """Keep the lease until the child ended or must be ended, at the latest at the monotonic
        time `until_s`. False: the lease is lost.
        """
        beat_at_s = 0.0
        while child.poll() is None and not stopping.is_set() and time.monotonic() < until_s:
            if time.monotonic() >= beat_at_s:
                beat_at_s = time.monotonic() + self._settings.beat_s
                try:
                    with self._pool.connection() as connection:
                        cancelled = operations.raise_beat(connection, token)
                    self._leases.look()
                except PASSING as error:
                    # The lease is not lost while the database is away: no runner can read it.
                    log.warning("database_away", error=type(error).__name__)
                    self._leases.interrupted()
                    continue
                if cancelled is None:
                    return child.poll() is not None  # the child may just have completed it
                if cancelled:
                    return True
            try:
                child.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                continue
        return True

    def _ended(self, child: Child, token: UUID, *, stopped: bool, overdue: bool) -> Change | None:
        """Store how the operation ended. None: the child has stored it already, or the database is
        away. In the second case the lease is lost later, and the operation is ended then.
        """
        code = child.wait()

        def decide(row: OperationRow) -> Change:
            if overdue and not is_cancelled(row):
                return after_limit(row["losses"], self._settings.operation_max_s)
            if stopped and code == -signal.SIGKILL and not is_cancelled(row):
                return Change(Status.QUEUED, row["losses"])
            return after_exit(
                code,
                row["losses"],
                cancel_requested=is_cancelled(row),
                memory_mb=self._settings.training_memory_mb,
            )

        try:
            return end(self._pool, token, decide)
        except PASSING as error:
            log.warning("database_away", error=type(error).__name__)
            return None


def kill(child: Child) -> None:
    """Kill the child and all processes of its session."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()
        child.wait()
