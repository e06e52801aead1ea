"""The events of webhooks, typed by their `type`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from tierline_client.models import JobError, Model


class EventJob(Model):
    """A job at the time of an event. The last three are there if the endpoint asks for output."""

    id: str
    feature: str
    feature_version: int
    status: str
    status_label: str | None
    tier: str
    escalated: bool
    unverified: bool
    blocked_reason: str | None
    batch_id: str | None
    custom_id: str | None
    metadata: Mapping[str, Any] | None
    created_at: datetime
    completed_at: datetime | None
    output: Any = None
    error: JobError | None = None
    escalation_reason: str | None = None
    output_omitted: bool = False  # it was too large


class EventBatch(Model):
    """A batch that has ended."""

    id: str
    feature: str
    feature_version: int
    status: str
    counts: Mapping[str, int]
    bad_rows: int
    metadata: Mapping[str, Any] | None
    created_at: datetime
    completed_at: datetime | None


class EventBudget(Model):
    """A budget that has reached a level."""

    percent: int
    scope: str
    key: str
    period: str
    limit_usd: Decimal
    spent_usd: Decimal
    resets_at: datetime


class _Event(Model):
    webhook_id: str  # the same for every try: use it to know an event again
    timestamp: datetime


class JobEvent(_Event):
    """Something happened to a job."""

    type: Literal["job.escalated", "job.completed", "job.failed", "job.cancelled", "job.expired"]
    data: EventJob


class BatchEvent(_Event):
    """A batch has ended."""

    type: Literal["batch.completed"]
    data: EventBatch


class BudgetEvent(_Event):
    """A budget has reached a level."""

    type: Literal["budget.alert"]
    data: EventBudget


class OtherEvent(_Event):
    """An event about a feature, a test, or one of a later API."""

    type: str
    data: Mapping[str, Any] = Field(default_factory=dict[str, Any])


WebhookEvent = JobEvent | BatchEvent | BudgetEvent | OtherEvent

_KINDS: Mapping[str, type[JobEvent | BatchEvent | BudgetEvent]] = {
    **dict.fromkeys(
        ("job.escalated", "job.completed", "job.failed", "job.cancelled", "job.expired"), JobEvent
    ),
    "batch.completed": BatchEvent,
    "budget.alert": BudgetEvent,
}


def event_of(document: Mapping[str, Any], webhook_id: str) -> WebhookEvent:
    """The event in a verified body."""
    kind = _KINDS.get(str(document.get("type")), OtherEvent)
    return kind.model_validate({**document, "webhook_id": webhook_id})
