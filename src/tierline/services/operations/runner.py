"""Runs operations one at a time: claims one, runs its child process, keeps its lease, ends it.

A lease is a counter. The runner that holds it increases the counter, and every runner watches it
with its own clock. The counter of a killed runner no longer changes, so another runner requeues the
operation.
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
from tierline.rules.leases import LeaseWatch
from tierline.rules.operations import Change, after_exit, after_loss
from tierline.storage.db.repeat import PASSING
from tierline.storage.operations import operations
from tierline.views.operations import OperationRow

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
        self._leases = LeaseWatch(config.lease_s, blind_s=config.lease_s / 2)

    def run(self, stopping: threading.Event) -> None:
        """Run until `stopping` is set. The operation in progress is then requeued."""
        while not stopping.is_set():
            try:
                self.look()
                row, token = self._claim()
            except PASSING as error:
                log.warning("database_away", error=type(error).__name__)
                self._leases.interrupted()
                row = None
            if row is None:
                stopping.wait(POLL_S)
            else:
                self._do(row, token, stopping)

    def look(self) -> None:
        """Requeue or end the operations whose lease was lost."""
        with self._pool.connection() as connection:
            beats = operations.read_beats(connection, self._kinds)
        seen = {token: (token, beat) for token, beat in beats.items()}
        for token in self._leases.look(time.monotonic(), seen, seen):
            self._end(token, lambda row: after_loss(row["losses"], cancel_requested=_asked(row)))

    def _claim(self) -> tuple[OperationRow | None, UUID]:
        token = new_id()
        with self._pool.connection() as connection:
            return operations.claim(connection, token, self._kinds), token

    def _do(self, row: OperationRow, token: UUID, stopping: threading.Event) -> None:
        told = {"operation_id": row["id"], "kind": row["kind"], "feature": row["feature"]}
        log.info("operation_started", **told)
        child = self._spawn(self._command(token), {**os.environ, **ONE_THREAD})
        try:
            ended = self._follow(child, token, stopping)
        finally:
            kill(child)
        if not ended:
            return  # another process may have claimed it
        change = self._ended(child, token, stopping)
        log.info("operation_ended", **told, status=None if change is None else change.status.value)

    def _follow(self, child: Child, token: UUID, stopping: threading.Event) -> bool:
        """Keep the lease until the child ended or must be ended. False: the lease is lost."""
        beat_at_s = 0.0
        while child.poll() is None and not stopping.is_set():
            if time.monotonic() >= beat_at_s:
                beat_at_s = time.monotonic() + self._settings.beat_s
                try:
                    with self._pool.connection() as connection:
                        cancelled = operations.raise_beat(connection, token)
                    self.look()
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

    def _ended(self, child: Child, token: UUID, stopping: threading.Event) -> Change | None:
        """Store how the operation ended. None: the child has stored it already, or the database is
        away. In the second case the lease is lost later, and a runner ends the operation then.
        """
        code = child.wait()
        stopped = stopping.is_set() and code == -signal.SIGKILL

        def decide(row: OperationRow) -> Change:
            if stopped and not _asked(row):
                return Change(Status.QUEUED, row["losses"])
            return after_exit(
                code,
                row["losses"],
                cancel_requested=_asked(row),
                memory_mb=self._settings.training_memory_mb,
            )

        try:
            return self._end(token, decide)
        except PASSING as error:
            log.warning("database_away", error=type(error).__name__)
            return None

    def _end(self, token: UUID, decide: Callable[[OperationRow], Change]) -> Change | None:
        """Store the result of `decide` for the operation of this token. None: the token holds no
        operation.
        """
        with self._pool.connection() as connection, connection.transaction():
            row = operations.lock_claimed(connection, token)
            if row is None:
                return None
            change = decide(row)
            operations.write_change(connection, row["id"], change)
        if change.failure is not None:
            log.warning("operation_failed", operation_id=row["id"], code=change.failure.code)
        return change


def kill(child: Child) -> None:
    """Kill the child and all processes of its session."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()
        child.wait()


def _asked(row: OperationRow) -> bool:
    return row["cancel_requested_at"] is not None
