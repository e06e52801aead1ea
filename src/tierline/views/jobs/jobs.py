"""The JSON of jobs.

Each kind of row and each model is declared here once. `storage.jobs.job_reads` derives its SELECT
from the rows, and the OpenAPI document comes from the models.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, WithJsonSchema

from tierline.base.json_text import JSONValue
from tierline.features.model import DEEPER_LABEL
from tierline.rules.jobs import TERMINAL, Status
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.views.jobs.tokens import Tokens, TokenUsage
from tierline.views.view import (
    ANY_JSON,
    AnyJson,
    AnyObject,
    Page,
    Time,
    UnknownCostCalls,
    Usd,
    View,
    with_optional,
)

MAX_NAME = 255  # characters of user and session
MAX_DEADLINE_S = 30 * 86_400

# Documented as one of these but not checked, because a later release may write another one.
JobStatus = Annotated[str, WithJsonSchema({"type": "string", "enum": [*Status]})]


class JobRow(Tokens):
    """The row of a job, as read to be shown. A field that is a column of `jobs` needs only its
    name."""

    id: UUID
    seq: int
    account_id: int
    feature: str
    feature_version: int
    status: str
    tier: str
    place: int  # the tier's position among those that call a model; a micro tier has -1
    own_label: str | None  # the feature's label for this tier; "" hides the label
    model: str | None
    output: JSONValue
    unverified: bool
    error_code: str | None
    error_message: str | None
    blocked_reason: str | None
    escalation_reason: str | None
    metadata: Mapping[str, JSONValue] | None
    user_key: str | None
    session_key: str | None
    batch_id: UUID | None
    batch_row: int | None
    custom_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    input_removed_at: datetime | None
    output_removed_at: datetime | None
    cost_usd: Decimal
    unknown_cost_calls: int
    # why a queued job waits; null for others
    held_by: str | None  # why none of its models takes calls now
    not_before: datetime | None  # the time of its next try, if that is in the future
    paused: bool | None  # its batch is paused
    hinted: bool | None  # it was dispatched to a worker
    last_verdict: str | None  # of its last attempt
    last_reason: str | None


class NewJob(BaseModel):
    """A submission. `services.jobs.submitting.submission` parses it, with more precise errors."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    feature: str = Field(description="an applied feature's name")
    input: Annotated[AnyJson, WithJsonSchema(ANY_JSON)] = Field(
        description="by the feature's input schema"
    )
    metadata: AnyObject | None = Field(
        default=None, description="returned with the job; at most 16 KiB"
    )
    webhook_url: Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})] | None = Field(
        default=None, description="receives the job's events"
    )
    user: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None = None
    session: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=MAX_DEADLINE_S)] | None = Field(
        default=None, description="after this time the job expires"
    )


WAITS = ("model", "budget", "retry", "worker", "paused", "place")
MOST_AT_ONCE = 100  # jobs of one call


class NewJobs(BaseModel):
    """Several submissions in one call."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=MOST_AT_ONCE)]


JOB_FIELDS = tuple(NewJob.model_fields)


class JobError(View):
    """Why a job failed."""

    code: str
    message: str


class WaitingFor(View):
    """What a queued job waits for."""

    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": [*WAITS]})] = Field(
        description="model: its models take no calls now; budget: other calls under way; retry: "
        "the time of its next try; worker: a worker has it next; paused: its batch is paused; "
        "place: a place in its queue"
    )
    message: str
    until: Time | None = Field(description="the next try, if its time is known")


class Job(View):
    """A job."""

    id: UUID
    feature: str
    feature_version: int
    status: JobStatus
    status_label: str | None = Field(
        description="a text to show to a person while the job is under way",
        examples=["running deeper analysis…"],
    )
    waiting_for: WaitingFor | None = Field(description="null unless the job is queued")
    tier: str = Field(description="the current or last tier")
    model: str | None = Field(description="the exact model whose answer is served")
    output: AnyJson = Field(description="the answer; null until completed, and after its removal")
    unverified: bool = Field(description="served although it failed a check")
    blocked_reason: str | None = Field(
        description="why no later tier was asked; null if none was blocked"
    )
    error: JobError | None
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    usage: TokenUsage
    metadata: AnyObject | None
    user: str | None = Field(validation_alias="user_key")
    session: str | None = Field(validation_alias="session_key")
    batch_id: UUID | None
    custom_id: str | None
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    input_removed_at: Time | None = Field(description="when its input was removed")
    output_removed_at: Time | None = Field(description="when its answers were removed")
    escalated: bool
    escalation_reason: str | None
    attempts_url: str


JOB_CONTENT = ("output", "metadata", "user", "session", "custom_id", "escalation_reason")
"""The fields of a job that contain, or may quote, text of a person or a model. An error's message
may do so too.
"""


class JobErrorCode(View):
    """Why a job failed. The message is for keys with the scope read."""

    code: str
    message: str = Field(default="")


JobState = with_optional(
    Job,
    "JobState",
    "A job. For a key without the scope read it has no "
    f"{', '.join(JOB_CONTENT)}, and no message in its error.",
    JOB_CONTENT,
    error=JobErrorCode | None,
)

_CONTENT_COLUMNS = frozenset(
    str(Job.model_fields[name].validation_alias or name) for name in JOB_CONTENT
)


class JobPage(Page[Job]):
    """A page of jobs."""


class SubmittedJobs(View):
    """The jobs of one call, in its order."""

    data: list[SerializeAsAny[JobState]]  # type: ignore[valid-type]


def job_view(row: JobRow, *, content: bool) -> Job:
    """A job as callers see it.

    `content`: whether the caller may read. Without it JOB_CONTENT and the error's message are left
    out.
    """
    code = row["error_code"]
    derived = {
        "status_label": status_label(row),
        "waiting_for": waiting_for(row),
        "error": None if code is None else {"code": code, "message": row["error_message"]},
        "usage": row,
        "escalated": row["escalation_reason"] is not None,
        "attempts_url": f"/v1/jobs/{row['id']}/attempts",
    }
    if content:
        return Job.model_validate({**row, **derived})
    visible = {name: value for name, value in row.items() if name not in _CONTENT_COLUMNS}
    return JobState.model_validate(
        {**visible, **derived, "error": None if code is None else {"code": code}}
    )


def new_job_row(
    job_id: UUID,
    *,
    feature: str,
    feature_version: int,
    tier: str,
    place: int,
    own_label: str | None,
    metadata: JSONValue,
    user: str | None,
    session: str | None,
    created_at: datetime,
) -> JobRow:
    """The row of a job just written, as if it were read; without `seq` and `account_id`."""
    fields = {
        "id": job_id,
        "feature": feature,
        "feature_version": feature_version,
        "status": Status.QUEUED.value,
        "tier": tier,
        "place": place,
        "own_label": own_label,
        "metadata": metadata,
        "user_key": user,
        "session_key": session,
        "created_at": created_at,
    }
    return cast(JobRow, {**_NOTHING_YET, **fields})


_NOTHING_YET: Mapping[str, Any] = {
    **dict.fromkeys(JobRow.__annotations__),
    "unverified": False,
    "cost_usd": Decimal(0),
    "unknown_cost_calls": 0,
}


def status_label(row: Mapping[str, Any] | JobRow) -> str | None:
    """A text to show to a person while the job is under way, or None.

    `own_label` is the feature's label for this tier: None if it has none, "" if it hides it.
    `place` is the tier's position among those that call a model: the tier after a micro tier is the
    first.
    """
    if row["status"] in TERMINAL:
        return None
    own: str | None = row["own_label"]
    if own is not None:
        return own or None
    return DEEPER_LABEL if row["place"] > 0 else None


def waiting_for(row: Mapping[str, Any] | JobRow) -> dict[str, Any] | None:
    """What a queued job waits for, or None. The reasons of failed calls have no content in them;
    reasons of checks may have, and are left out.
    """
    if row["status"] != Status.QUEUED:
        return None
    verdict, until = row["last_verdict"], row["not_before"]
    if row["paused"] and not row["hinted"]:
        kind, message, until = "paused", "its batch is paused", None
    elif row["held_by"] is not None:
        kind, message = "model", f"no model of this tier takes calls now: {row['held_by']}"
    elif until is not None and verdict == Verdict.BUDGET:
        kind, message = "budget", str(row["last_reason"])
    elif until is not None:
        failed = verdict is not None and verdict not in CHECK_FAILURES
        after = f" after {verdict}: {row['last_reason']}" if failed else ""
        kind, message = "retry", f"the next try{after}"
    elif row["hinted"]:
        kind, message = "worker", "a worker has it next"
    else:
        kind, message = "place", "a place in the queue: other jobs are running or go first"
    return {"kind": kind, "message": message, "until": until}
