"""What the process of `maintenance` does every few seconds, each in a thread of its own.

Neither needs a message from the broker. Several processes may run them: a batch is read by one, and
one at a time rolls up.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.services.batches.read_batch_files import read_due
from tierline.services.reports.roll_up import roll_up_due

log = structlog.get_logger(__name__)

SUMS_S = 5.0  # between two rounds of rolling up
FILES_S = 1.0  # between two rounds of reading the files of batches
MOST_S = 10.0  # of one round; the next one goes on


class Rounds:
    """A thread that calls `act` every `every_s` seconds, with the time (monotonic) to stop at.

    If a round fails, that is logged as `failed`, and the next one goes on.
    """

    def __init__(
        self, name: str, act: Callable[[float], object], every_s: float, failed: str
    ) -> None:
        self._act = act
        self._every_s = every_s
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round that runs."""
        self._stop.set()
        self._thread.join(timeout=MOST_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._act(time.monotonic() + MOST_S)
            except Exception as error:  # what was rolled back is done by the next round
                log.error(self._failed, error=type(error).__name__)


def roll_up(pool: ConnectionPool[Any], every_s: float = SUMS_S) -> Rounds:
    """Rolls up the sums of usage and reports. These read beside the sums what is not rolled up yet,
    so the shorter that is, the faster they are. The sweep rolls up too.
    """
    return Rounds("sums", lambda until: roll_up_due(pool, until), every_s, "roll_up_failed")


def read_files(pool: ConnectionPool[Any], every_s: float = FILES_S) -> Rounds:
    """Reads the files of batches."""
    failed = "batch_files_not_read"
    return Rounds("batch-files", lambda until: read_due(pool, until), every_s, failed)
