"""The hints that are out, of jobs and of webhook deliveries, and taking some of them back."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tierline.storage.jobs import hints
from tierline.storage.webhooks import deliveries


@dataclass(frozen=True)
class HintsOut:
    """Every hint that is out, by its number."""

    jobs: dict[int, tuple[UUID, str]]  # the job and its queue
    deliveries: dict[int, UUID]


def hints_out(pool: ConnectionPool[Any]) -> HintsOut:
    """Few, by design."""
    with pool.connection() as connection:
        return HintsOut(
            {number: (job_id, queue) for job_id, queue, number in hints.hints_out(connection)},
            {number: delivery_id for delivery_id, number in deliveries.hinted(connection)},
        )


def take_back(
    pool: ConnectionPool[Any], job_ids: Collection[UUID], delivery_ids: Collection[UUID]
) -> None:
    """Their hints did not go out, or are lost: they may be chosen again. A job that somebody has
    locked keeps its hint, and is found lost once more.
    """
    with pool.connection() as connection:
        hints.unmark(connection, job_ids)
        deliveries.unhint(connection, delivery_ids)
