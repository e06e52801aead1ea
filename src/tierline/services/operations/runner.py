"""Doing operations, one at a time: claim one, run its child process, keep its lease, end it.

A lease is a counter that this process raises and every runner watches on its own clock. A runner
that was killed leaves a counter that stands still, and another one takes the operation up again.
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

log = structlog.get_logger(__name__)

Child = subprocess.Popen[bytes]
Spawn = Callable[[Sequence[str], Mapping[str, str]], Child]
"""Starts a program in a session of its own, which ends when this process does."""

POLL_S = 0.25  # between two looks for something to do
WAIT_S = 0.1  # between two looks at the child
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Libraries for linear algebra start a thread a core, and would take the cores from the workers."""


def child_command(token: UUID) -> list[str]:
    """The program that does the operation which that token holds."""
    return [sys.executable, "-m", "tierline.services.operations.child", str(token)]


class Runner:
    """One process's. Its methods are called from one thread: the kernel ties a child's life to the
    thread that started it.
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
        """Until told to stop; what it works on then is given back."""
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
        """Take back what nobody works on any more."""
        with self._pool.connection() as connection:
            beats = operations.read_beats(connection, self._kinds)
        seen = {token: (token, beat) for token, beat in beats.items()}
        for token in self._leases.look(time.monotonic(), seen, seen):
            self._end(token, lambda row: after_loss(row["losses"], cancel_requested=_asked(row)))

    def _claim(self) -> tuple[dict[str, Any] | None, UUID]:
        token = new_id()
        with self._pool.connection() as connection:
            return operations.claim(connection, token, self._kinds), token

    def _do(self, row: Mapping[str, Any], token: UUID, stopping: threading.Event) -> None:
        told = {"operation_id": row["id"], "kind": row["kind"], "feature": row["feature"]}
        log.info("operation_started", **told)
        child = self._spawn(self._command(token), {**os.environ, **ONE_THREAD})
        try:
            ended = self._follow(child, token, stopping)
        finally:
            kill(child)
        if not ended:
            return  # another process has it by now
        change = self._ended(child, token, stopping)
        log.info("operation_ended", **told, status=None if change is None else change.status.value)

    def _follow(self, child: Child, token: UUID, stopping: threading.Event) -> bool:
        """Keep the lease until the child has to be ended or has ended; False: the lease is lost."""
        beat_at_s = 0.0
        while child.poll() is None and not stopping.is_set():
            if time.monotonic() >= beat_at_s:
                beat_at_s = time.monotonic() + self._settings.beat_s
                try:
                    with self._pool.connection() as connection:
                        cancelled = operations.raise_beat(connection, token)
                    self.look()
                except PASSING as error:
                    # The lease is not lost while the database is away: nobody sees it stand still.
                    log.warning("database_away", error=type(error).__name__)
                    self._leases.interrupted()
                    continue
                if cancelled is None:
                    return child.poll() is not None  # it may have completed a moment ago
                if cancelled:
                    return True
            try:
                child.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                continue
        return True

    def _ended(self, child: Child, token: UUID, stopping: threading.Event) -> Change | None:
        """Write how it ended, unless the child did. None: it did, or this cannot be written now,
        and then the lease will be found lost.
        """
        code = child.wait()
        stopped = stopping.is_set() and code == -signal.SIGKILL

        def decide(row: Mapping[str, Any]) -> Change:
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

    def _end(self, token: UUID, decide: Callable[[Mapping[str, Any]], Change]) -> Change | None:
        """Write what is decided of the operation that the token holds; None: it holds none."""
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
    """End it and everything of its session now."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()
        child.wait()


def _asked(row: Mapping[str, Any]) -> bool:
    return row["cancel_requested_at"] is not None
