"""One try to deliver one webhook, from the hint to the row with its result."""

import time
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.settings import Settings, settings
from tierline.services.jobs.running.worker import Leases
from tierline.storage.db.repeat import GaveUp, repeat
from tierline.storage.webhooks.deliveries import Delivery, claim, finish
from tierline.webhooks.addresses import OTHER_PORTS_END, Reach, other_port
from tierline.webhooks.call import Resolve, post
from tierline.webhooks.events import webhook_id
from tierline.webhooks.schedule import Decision, DeliveryStatus, Met, after_try
from tierline.webhooks.sign import signed_headers

log = structlog.get_logger(__name__)

CLAIM_PATIENCE_S = 10.0  # after this, a hint that cannot be claimed is left to the dispatcher
SLACK_S = 60.0  # how long after the call its result may be written before the lease ends

MOST_WARNED = 10_000  # endpoints that a process remembers to have warned about

WITHDRAWN = Met(None, "its endpoint was disabled or deleted")


def deliver(
    pool: ConnectionPool[Any],
    delivery_id: UUID,
    leases: Leases,
    config: Settings | None = None,
    resolve: Resolve | None = None,
) -> None:
    """Make one try at a delivery, if it can be claimed. A superfluous hint has no effect.

    No transaction is open while the receiver is called. If a worker is lost during the call, its
    lease ends and the webhook is sent again: deliveries are at least once, and none is lost
    silently.
    """
    limits = config or settings()
    token = uuid4()
    with leases.hold(token):
        leases.until(token, CLAIM_PATIENCE_S + limits.webhook_timeout_s + SLACK_S)
        give_up_s = time.monotonic() + CLAIM_PATIENCE_S
        try:
            delivery = repeat(
                pool,
                lambda connection: claim(connection, delivery_id, token),
                keep_on=lambda: time.monotonic() < give_up_s,
            )
        except GaveUp:
            log.warning("delivery_not_claimed", delivery_id=str(delivery_id))
            return
        if delivery is None:
            return
        met, decision = _try(delivery, limits, resolve)
        give_up_s = time.monotonic() + SLACK_S
        try:
            written = repeat(
                pool,
                lambda connection: _finish(connection, delivery, met, decision),
                keep_on=lambda: time.monotonic() < give_up_s,
            )
        except GaveUp:
            written = False
    # Not the URL, which may contain a token, and nothing that was sent or answered.
    log.info(
        "webhook_tried",
        delivery_id=str(delivery.id),
        event_type=delivery.event,
        job_id=delivery.job_id and str(delivery.job_id),
        number=delivery.tries,
        status=met.status,
        error=met.error,
        delivery=str(decision.status),
        wait_s=round(decision.wait_s, 1),
        written=written,
    )


@lru_cache(maxsize=MOST_WARNED)
def _warn_of_port(endpoint_id: UUID, url: str, reach: Reach) -> None:
    """Warn once per process and endpoint: its port is called only until `OTHER_PORTS_END`."""
    port = other_port(url, reach)
    if port is not None:
        log.warning(
            "webhook_port_ends", endpoint_id=str(endpoint_id), port=port, until=OTHER_PORTS_END
        )


def _finish(connection: Connection[Any], delivery: Delivery, met: Met, decision: Decision) -> bool:
    with connection.transaction():
        return finish(connection, delivery, met, decision)


def _try(delivery: Delivery, limits: Settings, resolve: Resolve | None) -> tuple[Met, Decision]:
    if delivery.withdrawn or delivery.secret is None:
        return WITHDRAWN, Decision(DeliveryStatus.FAILED)
    if delivery.any_port and delivery.endpoint_id is not None:
        _warn_of_port(delivery.endpoint_id, delivery.url, limits.webhook_reach)
    headers = signed_headers(
        webhook_id(delivery.id), delivery.body, delivery.at, delivery.secret, delivery.old_secret
    )
    met = post(
        delivery.url,
        headers,
        delivery.body,
        timeout_s=limits.webhook_timeout_s,
        reach=limits.webhook_reach,
        any_port=delivery.any_port,
        resolve=resolve,
    )
    return met, after_try(delivery.tries, met)
