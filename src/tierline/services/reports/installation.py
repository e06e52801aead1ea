"""Numbers about the whole installation: its queues, its models' circuits, its webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.jobs import queue_reads
from tierline.storage.jobs.queue_reads import Depth
from tierline.storage.reports import last_hour
from tierline.storage.reports.last_hour import Webhooks

__all__ = ["Circuit", "Depth", "Numbers", "Webhooks", "circuits_of_models", "depths", "numbers"]


@dataclass(frozen=True)
class Numbers:
    """What a scrape of the metrics reads, besides what is of the last hour."""

    depths: Sequence[Depth]
    webhooks: Webhooks
    circuits: Sequence[Circuit]


def depths(connection: Connection[Any]) -> list[Depth]:
    """Every queue, including empty ones."""
    return queue_reads.depths(connection)


def circuits_of_models(connection: Connection[Any]) -> list[Circuit]:
    """Every model that ever failed, by name."""
    return circuits.every(connection)


def numbers(connection: Connection[Any]) -> Numbers:
    """The numbers, read from the database each time."""
    return Numbers(
        depths=queue_reads.depths(connection),
        webhooks=last_hour.webhooks(connection),
        circuits=circuits.every(connection),
    )
