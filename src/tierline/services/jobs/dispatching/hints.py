"""Hints that have been sent, of jobs and of webhook deliveries, and taking some of them back."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tierline.services.jobs.dispatching.out_jobs import OutJobs
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs import hints
from tierline.storage.webhooks import deliveries


@dataclass(frozen=True)
class HintsOut:
    """Every hint that is out, by its number."""

    jobs: dict[int, tuple[UUID, str]]  # the job and its queue
    deliveries: dict[int, UUID]


def hints_out(pool: ConnectionPool[Any], out_jobs: OutJobs) -> HintsOut:
    """All hints that are out. There are few, by design."""
    with pool.connection() as connection:
        return HintsOut(
            {
                job.hint_no: (job.job_id, job.queue)
                for job in out_jobs.read(connection)
                if job.hinted and job.hint_no is not None
            },
            {number: delivery_id for delivery_id, number in deliveries.hinted(connection)},
        )


def take_back(
    pool: ConnectionPool[Any], job_ids: Collection[UUID], delivery_ids: Collection[UUID]
) -> None:
    """Mark jobs whose hints were not sent or are lost, so that they can be chosen again. A locked
    job keeps its hint; it is found lost again at the next check.
    """
    with pool.connection() as connection:
        again_if_moved(lambda: hints.unmark(connection, job_ids))
        deliveries.unhint(connection, delivery_ids)
