"""Announcing an event: its deliveries are written in the transaction that makes the event true.

The body is built here once, from the rows as that transaction sees them. `deliver` sends it.
"""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import database_now, new_id
from tierline.base.settings import settings
from tierline.rules.openai_names import incomplete_reason
from tierline.storage.money.reservations import Crossed
from tierline.storage.webhooks import announcements, deliveries
from tierline.storage.webhooks.announcements import Listener
from tierline.views.jobs.jobs import status_label
from tierline.webhooks.addresses import AddressRefused, other_port, read_url
from tierline.webhooks.events import (
    BATCH_COMPLETED,
    BUDGET_ALERT,
    BatchFacts,
    BudgetFacts,
    JobFacts,
    batch_body,
    budget_body,
    job_body,
)
from tierline.webhooks.openai_form import OPENAI, openai_body


def announce(connection: Connection[Any], event: str, job_id: UUID) -> int:
    """Write the deliveries of a job's event. Returns how many there are.

    Call it after the job's UPDATE, in the same transaction, so that both are committed or neither.
    Nothing is written if no endpoint listens for the event.
    """
    listeners = announcements.job_listeners(connection, event, job_id)
    if not listeners:
        return 0
    row = announcements.job_row(connection, job_id)
    at: datetime = row.pop("at")
    label = status_label(row)
    facts = JobFacts(**{name: row[name] for name in _FROM_ROW}, status_label=label)
    incomplete = incomplete_reason(facts.status, facts.error_code, facts.error_message) is not None
    bodies = {
        include: job_body(event, at, facts, include)
        for include in {listener.include for listener in listeners}
    }
    deliveries.insert(
        connection,
        [
            _delivery(
                listener, event, bodies[listener.include], job_id=job_id, incomplete=incomplete
            )
            for listener in listeners
        ],
    )
    return len(listeners)


def announce_batch(connection: Connection[Any], batch_id: UUID) -> int:
    """Write the deliveries of batch.completed, in the transaction that completes the batch."""
    listeners = announcements.batch_listeners(connection, BATCH_COMPLETED, batch_id)
    if not listeners:
        return 0
    row = announcements.batch_row(connection, batch_id)
    at: datetime = row.pop("at")
    body = batch_body(at, BatchFacts(**row))
    deliveries.insert(
        connection,
        [_delivery(listener, BATCH_COMPLETED, body, batch_id=batch_id) for listener in listeners],
    )
    return len(listeners)


def announce_budget(connection: Connection[Any], crossed: Crossed, percent: int) -> int:
    """Write the deliveries of budget.alert, in the transaction that records the alert."""
    listeners = announcements.account_listeners(connection, BUDGET_ALERT, crossed.account_id)
    body = budget_body(
        crossed.at,
        BudgetFacts(
            percent=percent,
            **{
                name: getattr(crossed, name)
                for name in ("scope", "key", "period", "limit_usd", "spent_usd", "resets_at")
            },
        ),
    )
    deliveries.insert(
        connection, [_delivery(listener, BUDGET_ALERT, body) for listener in listeners]
    )
    return len(listeners)


def announce_feature(
    connection: Connection[Any], event: str, account_ids: Iterable[int], body: bytes
) -> int:
    """Write the deliveries of a feature's event to the accounts that use the feature, in the
    transaction that records the event.
    """
    listeners = [
        listener
        for account_id in account_ids
        for listener in announcements.account_listeners(connection, event, account_id)
    ]
    deliveries.insert(connection, [_delivery(listener, event, body) for listener in listeners])
    return len(listeners)


_FROM_ROW = tuple(name for name in JobFacts.__dataclass_fields__ if name != "status_label")
EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def _delivery(
    listener: Listener,
    event: str,
    body: bytes,
    *,
    job_id: UUID | None = None,
    batch_id: UUID | None = None,
    incomplete: bool = False,
) -> deliveries.NewDelivery:
    any_port = False
    delivery_id = new_id()
    if listener.format == OPENAI:
        made_at = int(database_now().timestamp())
        body = openai_body(body, delivery_id, made_at, job_id=job_id, incomplete=incomplete)
    if listener.endpoint_id is not None:
        target = deliveries.endpoint_target(listener.endpoint_id)
    else:
        target = f"url:{_origin(listener.url)}"
        # It was accepted before ports were limited, so it is still delivered.
        any_port = other_port(listener.url, settings().webhook_reach) is not None
    return deliveries.NewDelivery(
        id=delivery_id,
        account_id=listener.account_id,
        endpoint_id=listener.endpoint_id,
        url=listener.url,
        target=target,
        job_id=job_id,
        batch_id=batch_id,
        event=event,
        body=body,
        any_port=any_port,
    )


def _origin(url: str) -> str:
    """The part that URLs of one server share. An unreadable URL fails at delivery, not in the
    transaction that ends a job."""
    try:
        return read_url(url, EVERYWHERE).origin
    except AddressRefused:
        return "unreadable"
