"""Delivering: one try at one webhook, from the hint to the row that says how it went."""

import time
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.settings import Settings, settings
from tierline.services.jobs.worker import Leases
from tierline.storage.db.repeat import GaveUp, repeat
from tierline.storage.webhooks.deliveries import Delivery, claim, finish
from tierline.webhooks.addresses import OTHER_PORTS_END, Reach, other_port
from tierline.webhooks.call import Resolve, post
from tierline.webhooks.events import webhook_id
from tierline.webhooks.schedule import Decision, DeliveryStatus, Met, after_try
from tierline.webhooks.sign import signed_headers

log = structlog.get_logger(__name__)

CLAIM_PATIENCE_S = 10.0  # a hint that cannot be claimed for so long is left to the dispatcher
SLACK_S = 60.0  # beyond the call: how long writing its end may take before the lease is given up

MOST_WARNED = 10_000  # endpoints whose warning a process remembers to have given

WITHDRAWN = Met(None, "its endpoint was disabled or deleted")


def deliver(
    pool: ConnectionPool[Any],
    delivery_id: UUID,
    leases: Leases,
    config: Settings | None = None,
    resolve: Resolve | None = None,
) -> None:
    """Make one try at a delivery, if it is there to be taken; a hint too many does nothing.

    No transaction is open while the receiver is called. A worker lost in the middle leaves a claim
    whose lease runs out, and the webhook goes out again: at least once, never silently not at all.
    """
    limits = config or settings()
    token = uuid4()
    with leases.hold(token):
        leases.until(token, CLAIM_PATIENCE_S + limits.webhook_timeout_s + SLACK_S)
        give_up_s = time.monotonic() + CLAIM_PATIENCE_S
        try:
            taken = repeat(
                pool,
                lambda connection: claim(connection, delivery_id, token),
                keep_on=lambda: time.monotonic() < give_up_s,
            )
        except GaveUp:
            log.warning("delivery_not_claimed", delivery_id=str(delivery_id))
            return
        if taken is None:
            return
        met, decision = _try(taken, limits, resolve)
        give_up_s = time.monotonic() + SLACK_S
        try:
            written = repeat(
                pool,
                lambda connection: finish(connection, taken, met, decision),
                keep_on=lambda: time.monotonic() < give_up_s,
            )
        except GaveUp:
            written = False
    # Neither the URL, which may hold a token, nor anything that was sent or answered.
    log.info(
        "webhook_tried",
        delivery_id=str(taken.id),
        event_type=taken.event,
        job_id=taken.job_id and str(taken.job_id),
        number=taken.tries,
        status=met.status,
        error=met.error,
        delivery=str(decision.status),
        wait_s=round(decision.wait_s, 1),
        written=written,
    )


@lru_cache(maxsize=MOST_WARNED)
def _warn_of_port(endpoint_id: UUID, url: str, reach: Reach) -> None:
    """Once in a process for each endpoint: its port is called until `OTHER_PORTS_END`."""
    port = other_port(url, reach)
    if port is not None:
        log.warning(
            "webhook_port_ends", endpoint_id=str(endpoint_id), port=port, until=OTHER_PORTS_END
        )


def _try(taken: Delivery, limits: Settings, resolve: Resolve | None) -> tuple[Met, Decision]:
    if taken.withdrawn or taken.secret is None:
        return WITHDRAWN, Decision(DeliveryStatus.FAILED)
    if taken.any_port and taken.endpoint_id is not None:
        _warn_of_port(taken.endpoint_id, taken.url, limits.webhook_reach)
    headers = signed_headers(
        webhook_id(taken.id), taken.body, taken.at, taken.secret, taken.old_secret
    )
    met = post(
        taken.url,
        headers,
        taken.body,
        timeout_s=limits.webhook_timeout_s,
        reach=limits.webhook_reach,
        any_port=taken.any_port,
        resolve=resolve,
    )
    return met, after_try(taken.tries, met)
