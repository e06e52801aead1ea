"""Rolls up the sums of usage and reports every few seconds, in the process of `maintenance`.

Usage and reports read beside the sums what is not rolled up yet. So the shorter that is, the faster
they are. It needs no message from the broker, and the sweep rolls up too.
"""

import threading
import time
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.services.reports.roll_up import roll_up_due

log = structlog.get_logger(__name__)

EVERY_S = 5.0
MOST_S = 10.0  # of one round; the next one goes on


class RollUp:
    """The thread. Of several processes that run one, one at a time rolls up."""

    def __init__(self, pool: ConnectionPool[Any], every_s: float = EVERY_S) -> None:
        self._pool = pool
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sums", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round that runs."""
        self._stop.set()
        self._thread.join(timeout=MOST_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                roll_up_due(self._pool, time.monotonic() + MOST_S)
            except Exception as error:  # the next round may do better; reports are right meanwhile
                log.error("roll_up_failed", error=type(error).__name__)
