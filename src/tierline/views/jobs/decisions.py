"""The JSON of routing decisions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from pydantic import Field

from tierline.base.json_text import JSONValue
from tierline.views.jobs.jobs import JobStatus
from tierline.views.view import AnyObject, Page, TextId, Time, Usd, View


class _DecisionFields(TypedDict):
    job_id: UUID
    account: str
    feature: str
    feature_version: int
    tier: str
    routing: Mapping[str, Any] | None
    started_at: datetime
    model: str | None
    verdict: str | None
    reason: str | None  # of the verdict
    confidence: float | None
    calibration_id: int | None
    confidence_threshold: float | None
    confidence_signals: Mapping[str, JSONValue] | None


class FirstDecision(_DecisionFields):
    """The decision about a job that no worker has claimed yet."""

    number: None


class LoggedDecision(_DecisionFields):
    """A decision, its attempt, and the facts that give its outcome."""

    number: int
    seq: int
    job_status: str
    tier_index: int
    answer_attempt: int | None
    unverified: bool
    last_attempt: int


class Decision(View):
    """One routing decision: which tier was asked, why, and the outcome."""

    job_id: UUID
    account: str
    feature: str
    feature_version: int
    attempt: int | None = Field(
        validation_alias="number", description="the attempt it led to; null: none yet"
    )
    at: Time = Field(validation_alias="started_at")
    policy: str | None = Field(description="slm_first, pinned, canary, …")
    choice: str = Field(validation_alias="tier", description="the tier")
    reason: str | None
    signals: AnyObject = Field(description="the facts that the policy used")
    threshold: float | None = Field(description="what a signal was compared with")
    model: str | None
    verdict: str | None
    verdict_reason: str | None
    confidence: float | None
    calibration_id: TextId | None = Field(description="the calibration that applied")
    confidence_threshold: float | None = Field(description="its threshold")
    confidence_signals: AnyObject | None = Field(
        description="for an answer with a calibrated confidence"
    )
    outcome: str | None = Field(
        description="served, escalated, tried_again, failed, …; null: still open"
    )


class DecisionPage(Page[Decision]):
    """The decisions of a page of jobs."""


def decision_view(row: FirstDecision | LoggedDecision, outcome: str | None) -> Decision:
    """One decision as callers see it. `outcome` is None while it is open."""
    routing = row["routing"] or {}
    return Decision.model_validate(
        {
            **row,
            "policy": routing.get("policy"),
            "reason": routing.get("reason"),
            "signals": routing.get("signals", {}),
            "threshold": routing.get("threshold"),
            "verdict_reason": row["reason"],
            "outcome": outcome,
        }
    )


class Alternative(View):
    """A tier that the feature allows, and the expected cost of an answer there."""

    tier: str
    model: str
    expected_cost_usd: Usd | None = Field(
        description="for an answer of the tier's maximum length; null: unknown"
    )


class Route(View):
    """Every decision about a job, in order, and the alternatives."""

    job_id: UUID
    feature: str
    feature_version: int
    status: JobStatus
    decisions: list[Decision]
    alternatives: list[Alternative] = Field(description="every tier that the feature allows")
