"""The JSON of a job's event in an event stream. Names and form are those of the webhooks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, SerializeAsAny, WithJsonSchema

from tierline.rules.job_events import JOB_EVENTS, AttemptFacts, JobEvent, JobFacts
from tierline.views.jobs.jobs import Job, JobStatus, status_label
from tierline.views.view import Time, View

# Documented as one of these but not checked, because a later release may write another one.
EventType = Annotated[str, WithJsonSchema({"type": "string", "enum": [*JOB_EVENTS]})]


@dataclass(frozen=True)
class EventRow:
    """A job with its attempts, one array for each of their columns; None: it has none."""

    id: UUID
    account_id: int
    feature: str
    feature_version: int  # below 0: a draft
    status: str
    tier: str
    batch_id: UUID | None
    custom_id: str | None
    created_at: datetime
    completed_at: datetime | None
    labels: dict[str, str | None]  # the feature's own status labels, by tier
    tiers: list[str]
    micro_first: bool  # the first of `tiers` calls no model
    numbers: list[int]
    attempt_tiers: list[str] | None
    started: list[datetime] | None
    ended: list[datetime | None] | None
    verdicts: list[str | None] | None
    reasons: list[str | None] | None

    @property
    def facts(self) -> JobFacts:
        """What the job's events are derived from."""
        columns = (self.attempt_tiers, self.started, self.ended, self.verdicts, self.reasons)
        return JobFacts(
            status=self.status,
            tier=self.tier,
            created_at=self.created_at,
            completed_at=self.completed_at,
            attempts=[
                AttemptFacts(*values)
                for values in zip(self.numbers, *(column or () for column in columns), strict=True)
            ],
            micro_tier=self.tiers[0] if self.micro_first else None,
        )


class JobEventData(View):
    """The job at the time of the event."""

    id: UUID
    feature: str
    feature_version: int
    status: JobStatus
    status_label: str | None = Field(
        description="a text to show to a person while the job is under way",
        examples=["running deeper analysis…"],
    )
    tier: str
    attempt: int | None = Field(description="the attempt that started or ended")
    batch_id: UUID | None
    custom_id: str | None = Field(default=None, description="only for keys with the scope read")
    reason: str | None = Field(
        default=None,
        description="why the attempt was not the last one; only for keys with the scope read",
    )
    job: SerializeAsAny[Job] | None = Field(
        default=None, description="in the last event of a job's own stream; see GET /v1/jobs/{id}"
    )


class StreamedEvent(View):
    """The data of an event of a job."""

    type: EventType
    timestamp: Time
    data: JobEventData


def streamed(row: EventRow, event: JobEvent, *, content: bool, job: Job | None) -> StreamedEvent:
    """One event of a job. `content`: whether the caller may read. `job`: the job, if it has ended
    and the stream is its own."""
    place = row.tiers.index(event.tier) - row.micro_first if event.tier in row.tiers else 0
    own = (row.labels[event.tier] or "") if event.tier in row.labels else None
    data: dict[str, Any] = {
        "id": row.id,
        "feature": row.feature,
        "feature_version": row.feature_version,
        "status": event.status,
        "status_label": status_label({"status": event.status, "own_label": own, "place": place}),
        "tier": event.tier,
        "attempt": event.attempt,
        "batch_id": row.batch_id,
    }
    if content:
        data["custom_id"] = row.custom_id
    if content and event.reason is not None:
        data["reason"] = event.reason
    if job is not None:
        data["job"] = job
    return StreamedEvent(type=event.type, timestamp=event.at, data=JobEventData(**data))
