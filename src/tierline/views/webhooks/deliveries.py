"""The JSON of webhook deliveries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.views.view import Page, Time, View
from tierline.webhooks.events import webhook_id

DeliveryStatus = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["pending", "delivered", "failed"]})
]


@dataclass(frozen=True)
class DeliveryRow:
    """The row of a delivery, as read to be shown."""

    id: UUID
    seq: int
    endpoint_id: UUID | None
    url: str
    job_id: UUID | None
    batch_id: UUID | None
    event: str
    status: str
    tries: int
    in_flight: bool
    body_removed: bool  # with its job's output, so it cannot be sent again
    next_try_at: datetime
    created_at: datetime
    ended_at: datetime | None
    last_status: int | None
    last_error: str | None


class WebhookDelivery(View):
    """One webhook to one endpoint."""

    id: UUID
    webhook_id: str = Field(description="the webhook-id header of every try")
    endpoint_id: UUID | None = Field(description="null: a job's webhook_url")
    url: str
    job_id: UUID | None
    batch_id: UUID | None
    event: str
    status: DeliveryStatus
    tries: int
    in_flight: bool = Field(description="it is being tried now")
    body_removed: bool = Field(description="with its job's output, so it cannot be sent again")
    next_try_at: Time | None = Field(description="null: no try is due")
    created_at: Time
    ended_at: Time | None
    last_status: int | None = Field(description="HTTP status of the last try")
    last_error: str | None


class WebhookDeliveryPage(Page[WebhookDelivery]):
    """A page of deliveries."""


def delivery_view(row: DeliveryRow) -> WebhookDelivery:
    """A delivery as callers see it."""
    waits = row.status == "pending" and not row.in_flight
    return WebhookDelivery.model_validate(
        {
            **vars(row),
            "webhook_id": webhook_id(row.id),
            "next_try_at": row.next_try_at if waits else None,
        }
    )
