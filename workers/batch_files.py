"""Reads the files of batches every second, in the process of `maintenance`.

It needs no message from the broker. Several processes may run it: each batch is read by one.
"""

import threading
import time
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.services.batches.read_batch_files import read_due

log = structlog.get_logger(__name__)

EVERY_S = 1.0
MOST_S = 10.0  # of one round; the next one goes on


class FileReader:
    """The thread."""

    def __init__(self, pool: ConnectionPool[Any], every_s: float = EVERY_S) -> None:
        self._pool = pool
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-files", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round that runs."""
        self._stop.set()
        self._thread.join(timeout=MOST_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                read_due(self._pool, time.monotonic() + MOST_S)
            except Exception as error:  # the next round goes on where this one was rolled back
                log.error("batch_files_not_read", error=type(error).__name__)
