"""Numbers about the whole installation: its queues, its models' circuits, its webhooks."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection

from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.jobs import queue_reads
from tierline.storage.jobs.queue_reads import Depth
from tierline.storage.reports import last_hour
from tierline.storage.reports.last_hour import Webhooks

__all__ = [
    "Circuit",
    "Depth",
    "Numbers",
    "QueueDepths",
    "Webhooks",
    "circuits_of_models",
    "numbers",
]

SHARE = 20.0


@dataclass(frozen=True)
class Numbers:
    """What a scrape of the metrics reads, besides what is of the last hour."""

    depths: Sequence[Depth]
    webhooks: Webhooks
    circuits: Sequence[Circuit]


class QueueDepths:
    """The numbers of the queues. One per process, used from the threads of its routes.

    Beside a held snapshot, jobs that ended stay in the table that they are read from. If it is
    large, they are kept for SHARE times as long as reading took: it uses at most 5% of a core.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depths: list[Depth] = []
        self._read_s = self._until_s = 0.0  # monotonic

    def read(self, connection: Connection[Any]) -> list[Depth]:
        """Every queue, including empty ones, with the age of the numbers if they were kept."""
        with self._lock:
            began_s = time.monotonic()
            if began_s < self._until_s:
                age_s = began_s - self._read_s
                return [
                    replace(depth, counted_s_ago=(depth.counted_s_ago or 0.0) + age_s)
                    for depth in self._depths
                ]
            is_long = queue_reads.is_long(connection)
            self._depths = queue_reads.depths(connection)
            self._read_s = time.monotonic()
            self._until_s = self._read_s + SHARE * (self._read_s - began_s) * is_long
            return list(self._depths)


def circuits_of_models(connection: Connection[Any]) -> list[Circuit]:
    """Every model that ever failed, by name."""
    return circuits.every(connection)


def numbers(connection: Connection[Any], queues: QueueDepths) -> Numbers:
    """The numbers, read from the database each time."""
    return Numbers(
        depths=queues.read(connection),
        webhooks=last_hour.webhooks(connection),
        circuits=circuits.every(connection),
    )
