"""The JSON of webhook endpoints."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.views.view import Page, Time, View
from tierline.webhooks.openai_form import FORMATS

Format = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FORMATS)})]


@dataclass(frozen=True)
class Endpoint:
    """The row of an endpoint, as read to be shown: without its secret."""

    id: UUID
    seq: int
    url: str
    description: str
    events: list[str]  # empty: all
    include: list[str]
    max_in_flight: int  # deliveries under way at once
    batch_rows: bool  # also gets the events of each job of a batch
    any_port: bool  # its URL was given before ports were limited
    format: str  # of its bodies
    disabled_at: datetime | None
    disabled_reason: str | None
    old_secret_until: datetime | None  # the former secret signs too until then
    created_at: datetime


class WebhookEndpoint(View):
    """An endpoint that gets the account's job events, without its secret."""

    id: UUID
    url: str
    description: str
    events: list[str] = Field(description="empty: all of them")
    include: list[str] = Field(description="of: output")
    max_in_flight: int = Field(description="deliveries under way to it at once")
    batch_rows: bool = Field(description="it also gets the events of each row of a batch")
    format: Format = Field(description="of its bodies")
    warning: str | None = Field(description="what will stop working; null: nothing")
    disabled: bool
    disabled_at: Time | None
    disabled_reason: str | None
    old_secret_until: Time | None = Field(description="the former secret signs too, until then")
    created_at: Time


class WebhookEndpointPage(Page[WebhookEndpoint]):
    """A page of webhook endpoints."""


class NewWebhookEndpoint(WebhookEndpoint):
    """An endpoint with a new secret."""

    secret: str = Field(description="whsec_…, shown only this once")


def endpoint_view(row: Endpoint, warning: str | None) -> WebhookEndpoint:
    """An endpoint as callers see it. `warning`: what will stop working."""
    return WebhookEndpoint.model_validate(_endpoint(row, warning))


def new_endpoint_view(row: Endpoint, warning: str | None, secret: str) -> NewWebhookEndpoint:
    """The same with its new secret."""
    return NewWebhookEndpoint.model_validate({**_endpoint(row, warning), "secret": secret})


def _endpoint(row: Endpoint, warning: str | None) -> dict[str, object]:
    return {**vars(row), "warning": warning, "disabled": row.disabled_at is not None}
