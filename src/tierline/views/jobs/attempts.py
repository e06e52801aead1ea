"""The JSON of a job's attempts and their calls."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from pydantic import Field

from tierline.base.json_text import JSONValue
from tierline.rules.verdicts import Verdict
from tierline.views.jobs.tokens import Tokens, TokenUsage
from tierline.views.view import (
    AnyJson,
    Page,
    Time,
    UnknownCostCalls,
    Usd,
    View,
)


class AttemptRow(TypedDict):
    """An attempt with its answer."""

    number: int
    tier: str
    queue: str
    worker: str
    routing: JSONValue
    started_at: datetime
    ended_at: datetime | None
    latency_s: float | None
    verdict: str | None
    reason: str | None
    model: str | None
    repaired: bool | None
    confidence: float | None
    answer: str | None
    output: JSONValue
    trace: JSONValue
    output_removed_at: datetime | None
    running: bool  # a worker holds it now


class CallRow(Tokens):
    """A call to a model."""

    attempt: int
    number: int
    purpose: str
    model: str
    answered_model: str | None
    booked_at: datetime
    settled_at: datetime | None
    latency_s: float | None
    cost_usd: Decimal | None
    error: str | None
    service_tier: str | None
    provider_request_id: str | None


class TracedMessage(View):
    """A message of a prompt."""

    role: str
    content: str


class TracedCall(View):
    """The prompt and answer of one call of a draft's job."""

    purpose: str
    model: str
    messages: list[TracedMessage]
    text: str = Field(description="as the model returned it")


class Call(View):
    """A call to a model."""

    number: int
    purpose: str
    model: str = Field(description="the exact model that answered, or else the requested one")
    asked: str = Field(description="provider:model, as the feature names it")
    usage: TokenUsage
    cost_usd: Usd | None = Field(description="USD; null: unknown")
    latency_s: float | None
    error: str | None
    service_tier: str | None = Field(description="as the provider reported it")
    provider_request_id: str | None = Field(description="for questions to the provider's support")
    booked_at: Time
    settled_at: Time | None


class Attempt(View):
    """An attempt at a job, with its calls."""

    number: int
    tier: str
    queue: str
    model: str | None
    verdict: str | None = Field(
        description=f"null while it runs; one of {', '.join(Verdict)}, or a later release's"
    )
    reason: str | None
    repaired: bool | None
    confidence: float | None
    routing: AnyJson = Field(description="policy, choice, reason, signals: why this tier")
    answer: str | None = Field(description="as the model returned it")
    output: AnyJson = Field(description="the parsed answer, whether or not it passed")
    output_removed_at: Time | None = Field(description="when the answer was removed")
    trace: list[TracedCall] | None = Field(
        description="of a draft's job: the prompt and answer of each answered call"
    )
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    latency_s: float | None
    started_at: Time
    ended_at: Time | None
    worker: str
    calls: list[Call]


class AttemptList(Page[Attempt]):
    """Every attempt at a job."""


def attempt_view(row: AttemptRow, calls: Sequence[Call]) -> Attempt:
    """One attempt with its calls."""
    unknown = sum(
        call.cost_usd is None and (call.settled_at is not None or not row["running"])
        for call in calls
    )
    return Attempt.model_validate(
        {
            **row,
            "cost_usd": sum((call.cost_usd for call in calls if call.cost_usd), Decimal(0)),
            "unknown_cost_calls": unknown,
            "calls": list(calls),
        }
    )


def call_view(row: CallRow) -> Call:
    """One call to a model. `model` is the exact model that answered, or else the requested one."""
    return Call.model_validate(
        {
            **row,
            "model": row["answered_model"] or row["model"].partition(":")[2],
            "asked": row["model"],
            "usage": row,
        }
    )
