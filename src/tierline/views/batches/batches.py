"""The JSON of batches, their parts and their rows; see `tierline.views.jobs.jobs`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypedDict, final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tierline.base.json_text import JSONValue
from tierline.rules.batches import MAX_CUSTOM_ID, Progress
from tierline.rules.jobs import TERMINAL, Status
from tierline.views.view import AnyJson, AnyObject, Page, Time, Usd, View, with_optional

INVALID = "invalid"  # the status of a row that did not become a job

# Documented as one of these but not checked, because a later release may write another one.
BatchStatus = Annotated[
    str,
    WithJsonSchema({"type": "string", "enum": ["open", "sealed", "completed", "cancelled"]}),
]
RowStatus = Annotated[str, WithJsonSchema({"type": "string", "enum": [*Status, INVALID]})]


class StoredBatch(TypedDict):
    """The row of a batch, as read to be shown. Each field that is a column of the table `batches`
    is selected by its name."""

    id: UUID
    seq: int
    feature: str
    feature_version: int
    feature_version_id: int
    status: str
    idempotency_key: str | None
    metadata: Mapping[str, JSONValue] | None
    webhook_url: str | None
    created_at: datetime
    sealed_at: datetime | None
    completed_at: datetime | None
    paused_at: datetime | None
    input_removed_at: datetime | None
    parts: int
    rows: int
    bad_rows: int


@final
class JobOfBatch(TypedDict):
    """A row of a batch that became a job."""

    batch_row: int
    custom_id: str | None
    id: UUID
    status: str
    tier: str
    model: str | None
    output: JSONValue
    output_removed_at: datetime | None
    unverified: bool
    blocked_reason: str | None
    error_code: str | None
    error_message: str | None
    verdict: str | None
    cost_usd: Decimal
    unknown_cost_calls: int
    escalation_reason: str | None


@final
class BadRowOfBatch(TypedDict):
    """A row of a batch that did not become a job, because it was invalid."""

    batch_row: int
    custom_id: str | None
    line: int | None
    problems: list[Mapping[str, str]]


class Batch(View):
    """A batch. Counts and cost are included only if they were calculated."""

    id: UUID
    feature: str
    feature_version: int
    status: BatchStatus
    metadata: AnyObject | None
    webhook_url: str | None
    parts: int
    rows: int = Field(description="accepted, including invalid ones")
    bad_rows: int = Field(description="invalid ones: see errors_url")
    created_at: Time
    sealed_at: Time | None
    completed_at: Time | None
    paused_at: Time | None = Field(
        description="since when none of its waiting jobs begins; null: it is not paused"
    )
    input_removed_at: Time | None = Field(
        description="when the problems of its invalid rows were removed"
    )
    output_url: str
    errors_url: str
    counts: dict[str, int] = Field(default={}, description="jobs by status")
    tiers: dict[str, dict[str, int]] = Field(
        default={}, description="jobs by their current or last tier"
    )
    cost_usd: Usd = Decimal(0)
    unknown_cost_calls: int = 0


BATCH_CONTENT = ("metadata", "webhook_url")
"""The fields of a batch with text that a person wrote. A URL may contain a token."""

BatchState = with_optional(
    Batch,
    "BatchState",
    f"A batch. For a key without the scope read it has no {' and no '.join(BATCH_CONTENT)}.",
    BATCH_CONTENT,
)


class BatchPage(Page[Batch]):
    """A page of batches."""


def batch_view(row: StoredBatch, progress: Progress | None = None, *, content: bool) -> Batch:
    """A batch as callers see it, with counts and cost if they were calculated.

    `content`: whether the caller may read; without it BATCH_CONTENT is left out.
    """
    address = f"/v1/batches/{row['id']}"
    document = {**row, "output_url": f"{address}/output", "errors_url": f"{address}/errors"}
    if progress is not None:
        document |= _counted(progress)
    if content:
        return Batch.model_validate(document)
    return BatchState.model_validate(
        {name: value for name, value in document.items() if name not in BATCH_CONTENT}
    )


def _counted(progress: Progress) -> dict[str, object]:
    counts = dict.fromkeys((str(status) for status in Status), 0)
    tiers: dict[str, dict[str, int]] = {}
    for (status, tier), jobs in progress.jobs.items():
        counts[status] = counts.get(status, 0) + jobs
        of_tier = tiers.setdefault(tier, {"unfinished": 0, "completed": 0, "unanswered": 0})
        if status == Status.COMPLETED:
            of_tier["completed"] += jobs
        else:
            of_tier["unanswered" if status in TERMINAL else "unfinished"] += jobs
    return {
        "counts": counts,
        "tiers": tiers,
        "cost_usd": progress.cost_usd,
        "unknown_cost_calls": progress.unknown_cost_calls,
    }


class BatchPart(View):
    """An accepted part."""

    number: int
    sha256: Annotated[str, BeforeValidator(bytes.hex)]
    rows: int
    bad_rows: int


class BatchPartPage(Page[BatchPart]):
    """A page of a batch's parts."""


class BatchRowError(View):
    """Why a row has no answer."""

    code: str
    message: str
    problems: list[AnyObject] = Field(
        default=[], description="of an invalid row: path and message of each problem"
    )


class BatchRow(View):
    """A row of a batch: its job, or why it did not become one."""

    row: int = Field(
        validation_alias="batch_row",
        description="its position: pass it as ?after= to continue",
    )
    custom_id: str | None
    id: UUID | None = Field(description="the job; null: the row was invalid")
    line: int | None = None
    status: RowStatus
    output: AnyJson = None
    output_removed_at: Time | None = Field(default=None, description="when it was removed")
    unverified: bool = False
    blocked_reason: str | None = None
    tier: str = ""
    model: str | None = None
    verdict: str | None = Field(default=None, description="of the last attempt")
    escalated: bool = False
    cost_usd: Usd = Decimal(0)
    unknown_cost_calls: int = 0
    error: BatchRowError | None


def row_view(row: JobOfBatch | BadRowOfBatch) -> BatchRow:
    """A row of a batch as callers see it."""
    if "problems" in row:
        problems = row["problems"]
        message = "; ".join(": ".join(filter(None, (p["path"], p["message"]))) for p in problems)
        error = {"code": "invalid_row", "message": message, "problems": problems}
        return BatchRow.model_validate({**row, "id": None, "status": INVALID, "error": error})
    code = row["error_code"]
    return BatchRow.model_validate(
        {
            **row,
            "escalated": row["escalation_reason"] is not None,
            "error": None if code is None else {"code": code, "message": row["error_message"]},
        }
    )


class NewBatchRow(BaseModel):
    """A row of a part. `services.batches.batch` reads it."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    custom_id: Annotated[str, Field(min_length=1, max_length=MAX_CUSTOM_ID)] | None = None
    input: AnyJson = Field(description="by the feature's input schema")
    metadata: AnyObject | None = None
    line: int | None = Field(default=None, description="in your file; used in errors")


ROW_FIELDS = frozenset(NewBatchRow.model_fields)
