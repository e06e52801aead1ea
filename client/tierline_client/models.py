"""What the API answers with, as pydantic models. Fields that a later API adds are left out.

Imported when the first answer is read, because importing pydantic takes longer than most requests.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tierline_client.errors import FieldProblem, OutputMismatch, TierlineError

Output = TypeVar("Output")

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
MOST_PROBLEMS = 20  # of an output that does not match


class Model(BaseModel):
    """The base of all models."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, defer_build=True, protected_namespaces=()
    )


class JobError(Model):
    """Why a job failed."""

    code: str
    message: str = ""  # empty for keys without the scope read


class TokenUsage(Model):
    """Tokens by kind; None if no call reported them. They do not overlap."""

    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


class JobFields(Model):
    """A job. Keys without the scope read get no output, metadata, user, session and custom_id."""

    id: str
    feature: str
    feature_version: int
    status: str  # queued, in_progress, completed, failed, cancelled, expired
    status_label: str | None  # a text for people while it is under way: "running deeper analysis…"
    tier: str  # the current or last one
    model: str | None  # the exact model whose answer is served
    unverified: bool  # served although it failed a check
    blocked_reason: str | None
    error: JobError | None
    cost_usd: Decimal
    unknown_cost_calls: int
    usage: TokenUsage
    metadata: Mapping[str, Any] | None = None
    user: str | None = None
    session: str | None = None
    batch_id: str | None
    custom_id: str | None = None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    escalated: bool
    escalation_reason: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended, however."""
        return self.status in ENDED


class JobFailed(TierlineError):
    """The job has ended without an output. `job` is the job, `code` the reason: the code of its
    error, `cancelled` or `expired`.
    """

    def __init__(self, job: JobFields) -> None:
        self.job = job
        self.code: str = job.status if job.error is None else job.error.code
        detail = "" if job.error is None or not job.error.message else f": {job.error.message}"
        super().__init__(f"job {job.id} is {job.status} ({self.code}){detail}")


class TypedJob(JobFields, Generic[Output]):
    """A job whose output has a type."""

    output: Output | None = None  # the checked answer; None until completed

    def check(self) -> None:
        """Raises JobFailed unless the job is completed."""
        if self.status != "completed":
            raise JobFailed(self)

    def result(self) -> Output:
        """The output. Raises JobFailed unless the job is completed."""
        self.check()
        return self.output  # type: ignore[return-value]  # what is completed has one


class Call(Model):
    """A request to a model."""

    number: int
    purpose: str
    model: str  # the exact model that answered, or else the requested one
    usage: TokenUsage
    cost_usd: Decimal | None  # None: unknown
    latency_s: float | None
    error: str | None
    booked_at: datetime
    settled_at: datetime | None


class Attempt(Model):
    """What one tier answered, and what became of it."""

    number: int
    tier: str
    model: str | None
    verdict: str | None  # None while it runs
    reason: str | None
    output: Any
    confidence: float | None
    cost_usd: Decimal
    unknown_cost_calls: int
    latency_s: float | None
    started_at: datetime
    ended_at: datetime | None
    calls: list[Call]


class Feedback(Model):
    """A label of a job's output."""

    job_id: str
    correct: bool | None
    expected: Any
    comment: str | None
    created_at: datetime


class Batch(Model):
    """A batch. `counts`, `tiers` and the cost are there if the request named them."""

    id: str
    feature: str
    feature_version: int
    status: str  # open, sealed, completed, cancelled
    metadata: Mapping[str, Any] | None = None
    parts: int
    rows: int
    bad_rows: int
    created_at: datetime
    sealed_at: datetime | None
    completed_at: datetime | None
    paused_at: datetime | None = None  # None: it is not paused
    counts: Mapping[str, int] = Field(default_factory=dict[str, int])
    cost_usd: Decimal = Decimal(0)
    unknown_cost_calls: int = 0


class RowError(Model):
    """Why a row has no output."""

    code: str
    message: str


class BatchRow(Model, Generic[Output]):
    """A row of a batch."""

    row: int  # its place: pass it as `after` to go on behind it
    custom_id: str | None
    id: str | None  # of its job; None: the row was invalid
    status: str  # a job's, or "invalid"
    output: Output | None = None
    unverified: bool = False
    tier: str = ""
    model: str | None = None
    escalated: bool = False
    cost_usd: Decimal = Decimal(0)
    error: RowError | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status in ENDED or self.status == "invalid"


class Tier(Model):
    """A tier and its models, in order."""

    name: str
    models: list[str]


class Feature(Model):
    """An applied feature."""

    name: str
    description: str
    version: int
    routing: str
    tiers: list[Tier]
    applied_at: datetime | None


class FeatureVersion(Feature):
    """A version of a feature, with its file."""

    source: str
    document: Mapping[str, Any]


class UsageRow(Model):
    """The usage of a group of calls; what it is not grouped by is None."""

    day: date | None = None
    feature: str | None = None
    tier: str | None = None
    model: str | None = None
    purpose: str | None = None
    user: str | None = None
    jobs: int
    calls: int
    cost_usd: Decimal
    unknown_cost_calls: int
    usage: TokenUsage


class Usage(Model):
    """Sums of an account's calls."""

    since: datetime = Field(validation_alias="from")
    to: datetime
    data: list[UsageRow]
    more_users: int = 0  # by user: those that are not in data


def typed(value: Any, output_type: type[Output], job_id: str) -> Output:
    """An output as `output_type`. Raises OutputMismatch."""
    try:
        return TypeAdapter(output_type).validate_python(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            FieldProblem(one["msg"], "".join(f"/{part}" for part in one["loc"]))
            for one in errors[:MOST_PROBLEMS]
        ]
        raise OutputMismatch(job_id, problems) from None
