"""Which webhook deliveries go out next, and requeuing those whose worker was lost."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.services.jobs.running.recover import each
from tierline.storage.webhooks import deliveries, delivery_choice

log = structlog.get_logger(__name__)


def choose(pool: ConnectionPool[Any], threads: int, spare: int, most: int) -> list[UUID]:
    """Mark due deliveries as hinted, oldest first. The caller publishes after this returns.

    `threads` counts the live workers' threads, `spare` is how many hints may wait in the broker
    beyond them, `most` is how many deliveries of one endpoint may be out.
    """
    with pool.connection() as connection:
        return choose_due(connection, threads, spare, most)


def choose_due(connection: Connection[Any], threads: int, spare: int, most: int) -> list[UUID]:
    """`choose`, on a connection that is in no transaction."""
    if not delivery_choice.any_due(connection):
        return []
    with connection.transaction():
        return delivery_choice.mark_due(connection, threads, spare, most)


def tries_in_flight(pool: ConnectionPool[Any]) -> list[UUID]:
    """The tokens of all tries under way."""
    with pool.connection() as connection:
        return deliveries.in_flight_tokens(connection)


def take_back_lost(pool: ConnectionPool[Any], tokens: Iterable[UUID]) -> None:
    """Make deliveries due again whose worker was lost. Locked ones wait for the next round."""
    with pool.connection() as connection:

        def take_back(token: UUID) -> None:
            lost = deliveries.lost(connection, token)
            if lost is not None:
                delivery_id, job_id = lost
                log.warning(
                    "delivery_taken_back",
                    delivery_id=str(delivery_id),
                    job_id=job_id and str(job_id),
                )

        each(connection, tokens, "taking back deliveries", take_back)
