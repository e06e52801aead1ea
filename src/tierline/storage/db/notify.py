"""Wake-ups between processes: NOTIFY on a separate connection, after the commit.

A NOTIFY inside a busy transaction serialises commits (measured: 5,300 a second become 650-1,090).
So one thread sends what has accumulated. A wake-up is only a hint; waiting processes poll too.
"""

import threading
import time
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection

from tierline.storage.db.engine import connect

READY = "tierline_ready"  # there may be a job or a delivery to choose
DONE = "tierline_done"  # payload: ids of ended jobs, comma-separated; their threads are idle
GATHER_S = 0.01  # between two wake-ups; the first is sent at once, later ones are collected
PAYLOAD_IDS = 200  # 37 characters each, to stay below Postgres's 8,000 bytes

log = structlog.get_logger(__name__)


def listen(url: str, name: str, *channels: str) -> Connection[Any]:
    """An autocommit connection that listens on `channels`."""
    connection = connect(url, name, prepare=False)
    for channel in channels:
        connection.execute(f"LISTEN {channel}")
    return connection


class Notifier:
    """Sends wake-ups from any thread: the first at once, those that follow soon after together."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = f"{name}-notify"
        self._gathered = threading.Condition()
        self._ready = False
        self._done: list[UUID] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what has accumulated, and stop."""
        with self._gathered:
            self._stopped = True
            self._gathered.notify()
        self._thread.join(timeout=2.0)

    def ready(self) -> None:
        """A dispatcher may have something to choose."""
        with self._gathered:
            self._ready = True
            self._gathered.notify()

    def done(self, job_id: UUID) -> None:
        """A job ended."""
        with self._gathered:
            self._done.append(job_id)
            self._gathered.notify()

    def _run(self) -> None:
        connection: Connection[Any] | None = None
        while True:
            with self._gathered:
                self._gathered.wait_for(lambda: self._ready or self._done or self._stopped)
                if self._stopped and not (self._ready or self._done):
                    break
                ended, ready = self._done, self._ready
                self._done, self._ready = [], False
            try:
                if connection is None:
                    connection = connect(self._url, self._name, durable=False, prepare=False)
                if ready and not ended:
                    connection.execute(f"NOTIFY {READY}")
                for start in range(0, len(ended), PAYLOAD_IDS):
                    payload = ",".join(str(job_id) for job_id in ended[start : start + PAYLOAD_IDS])
                    connection.execute("SELECT pg_notify(%s, %s)", (DONE, payload))
                time.sleep(GATHER_S)
            except psycopg.Error as error:
                # A lost wake-up only costs the wait until the next poll.
                log.warning("wake_up_lost", error=type(error).__name__)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()
