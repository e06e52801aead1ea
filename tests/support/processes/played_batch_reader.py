"""Plays the processes that read batches' files and complete batches."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg_pool import ConnectionPool

from tests.support.waiting import DEADLINE_S
from tierline.services.batches.finish_batches import complete_finished
from tierline.services.batches.read_batch_files import read_due


@contextmanager
def reading_batches(url: str) -> Iterator[None]:
    """Files are read to their end, and ended batches are completed, while the block lasts."""
    stop = threading.Event()

    def run() -> None:
        with ConnectionPool(url, min_size=1, max_size=2, kwargs={"autocommit": True}) as pool:
            while not stop.wait(0.02):
                read_due(pool, time.monotonic() + 10)
                with pool.connection() as connection:
                    complete_finished(connection)

    thread = threading.Thread(target=run, name="batch-reader")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_S)
