"""Workers' heartbeats: writing this process's, reading all, removing those of dead workers."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from tierline.rules.queues import JOBS
from tierline.services.jobs.running.recover import each
from tierline.storage.db.engine import connect
from tierline.storage.features import provider_keys
from tierline.storage.jobs import beats
from tierline.storage.jobs.beats import WorkerBeat

__all__ = ["Beat", "WorkerBeat", "read_beats", "remove_gone"]

PUBLISH_S = 60.0  # between two times that a worker publishes the providers that it has a key for
EXPIRES_S = 3 * PUBLISH_S


class Beat:
    """The row of one worker process. It has a connection of its own, so that a busy pool delays no
    heartbeat. Use it from one thread only. It connects at the first use and after each error.
    """

    def __init__(
        self,
        url: str,
        worker: UUID,
        name: str,
        queues: Sequence[str],
        threads: int,
        kept: int = 0,
    ) -> None:
        """`kept`: how many of its threads it keeps free from backfills."""
        self._kept = kept
        self._url = url
        self._worker = worker
        self._name = name
        self._queues = queues
        self._threads = threads
        self._connection: psycopg.Connection[Any] | None = None
        self._answers = not set(queues).isdisjoint(JOBS)
        self._published_s: float | None = None  # when the providers were last published

    def write(self, beat: int, tokens: Sequence[UUID]) -> None:
        """Write the heartbeat and the claims that live threads hold. Raises psycopg.Error."""
        try:
            if self._connection is None:
                # If a crash of the server loses a heartbeat, the next one follows soon.
                self._connection = connect(self._url, f"{self._name}-beat", durable=False)
            beats.raise_beat(
                self._connection,
                self._worker,
                self._name,
                self._queues,
                self._threads,
                beat,
                tokens,
                self._kept,
            )
            self._publish(self._connection)
        except psycopg.Error:
            self._close()
            raise

    def remove(self) -> None:
        """Delete the row, unless the last write failed. Raises psycopg.Error."""
        if self._connection is None:
            return
        try:
            beats.remove_worker(self._connection, self._worker)
            provider_keys.remove(self._connection, self._worker)
        finally:
            self._close()

    def _publish(self, connection: psycopg.Connection[Any]) -> None:
        """Publish, now and then, which providers this worker has a key for."""
        now_s = time.monotonic()
        if not self._answers or (
            self._published_s is not None and now_s - self._published_s < PUBLISH_S
        ):
            return
        # Imported here, because the dispatcher has no use for providers.
        from tierline.services.features.provider_keys import own_names

        self._published_s = now_s  # before it is tried: an error may not repeat with each beat
        provider_keys.publish(connection, self._worker, own_names(), EXPIRES_S)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def read_beats(pool: ConnectionPool[Any]) -> list[WorkerBeat]:
    """Every worker process that has a row. Rows of dead workers count until they are removed."""
    with pool.connection() as connection:
        return beats.read_beats(connection)


def remove_gone(pool: ConnectionPool[Any], gone: Mapping[UUID, int]) -> None:
    """Delete the rows of these workers, unless they have sent a heartbeat since the given one."""
    with pool.connection() as connection:

        def remove(worker: UUID) -> None:
            beats.remove_worker(connection, worker, gone[worker])

        each(connection, gone, "removing workers", remove)
