"""Wake-ups for a process that runs on asyncio: the counterpart of `storage.notify`.

Both connections reconnect after an outage. Wake-ups lost meanwhile only cost the wait until the
next poll.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from tierline.storage.db.engine import NOT_DURABLE, connect_args, psycopg_url
from tierline.storage.db.notify import DONE, GATHER_S, READY

log = structlog.get_logger(__name__)

RECONNECT_S = 1.0


class ReadyNotifier:
    """Tells dispatchers that jobs are ready.

    Requests during a send are combined into the next one.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = f"{name}-notify"
        self._due = asyncio.Event()

    def ready(self) -> None:
        self._due.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        connection: AsyncConnection[Any] | None = None
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                try:
                    if connection is None:
                        connection = await _connect(self._url, self._name)
                        await connection.execute(NOT_DURABLE)
                    await connection.execute(f"NOTIFY {READY}")
                    await asyncio.sleep(GATHER_S)
                except (psycopg.Error, OSError) as error:
                    log.warning("wake_up_lost", error=type(error).__name__)
                    await _close(connection)
                    connection = None
                    await asyncio.sleep(RECONNECT_S)
        finally:
            await _close(connection)


class EndedJobs:
    """Lets requests wait for jobs to end."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = f"{name}-listen"
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._listeners: list[Callable[[Collection[UUID]], None]] = []

    def subscribe(self, listener: Callable[[Collection[UUID]], None]) -> None:
        """Call `listener` with the ids of jobs that end from now on, of all accounts."""
        self._listeners.append(listener)

    @contextlib.contextmanager
    def watch(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An Event that is set when the job may have ended; read its row then."""
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._waiting[job_id]
            events.discard(event)
            if not events:
                del self._waiting[job_id]

    def wake(self, job_ids: Collection[UUID]) -> None:
        for listener in self._listeners:
            listener(job_ids)
        for job_id in job_ids:
            for event in self._waiting.get(job_id, ()):
                event.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            connection: AsyncConnection[Any] | None = None
            try:
                connection = await _connect(self._url, self._name)
                await connection.execute(f"LISTEN {DONE}")
                self.wake(list(self._waiting))  # they may have ended while the connection was down
                async for notification in connection.notifies():
                    self.wake(_ids(notification.payload))
            except (psycopg.Error, OSError) as error:
                log.warning("not_listening", error=type(error).__name__)
            finally:
                await _close(connection)
            await asyncio.sleep(RECONNECT_S)


def _ids(payload: str) -> list[UUID]:
    ids = []
    for part in payload.split(","):
        with contextlib.suppress(ValueError):
            ids.append(UUID(part))
    return ids


async def _connect(url: str, name: str) -> AsyncConnection[Any]:
    parameters: dict[str, Any] = {**connect_args(name), "autocommit": True}
    return await AsyncConnection.connect(psycopg_url(url), prepare_threshold=None, **parameters)


async def _close(connection: AsyncConnection[Any] | None) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg.Error, OSError):
            await connection.close()
