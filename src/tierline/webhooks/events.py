"""The webhook events and their bodies.

A body is thin: the job's id and status. An output, an error text and the reason of an escalation
may quote the caller's input, so they are sent only to endpoints that ask for them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tierline.base.formats import usd, when
from tierline.base.json_text import JSON

ESCALATED = "job.escalated"
BATCH_COMPLETED = "batch.completed"
BUDGET_ALERT = "budget.alert"
DRIFT = "feature.drift"
REFRESH_DUE = "feature.refresh_due"
DEMOTED = "feature.demoted"
EVENTS = (
    ESCALATED,
    "job.completed",
    "job.failed",
    "job.cancelled",
    "job.expired",
    BATCH_COMPLETED,
    BUDGET_ALERT,
    DRIFT,
    REFRESH_DUE,
    DEMOTED,
)
TEST = "endpoint.test"  # sent at its owner's request; every endpoint gets it
INCLUDES = ("output",)  # optional parts that an endpoint may ask for

MAX_BODY_BYTES = 1024 * 1024
"""A body larger than this is sent without its output. Receivers limit what they read, and a refused
body would be retried in vain for three days."""


@dataclass(frozen=True)
class JobFacts:
    """A job at the time of the event."""

    id: UUID
    feature: str
    feature_version: int
    status: str
    status_label: str | None  # the text to show to people; None after its end
    tier: str
    unverified: bool  # the output failed a check, and the feature serves it all the same
    blocked_reason: str | None  # why no later tier was asked, or None
    escalation_reason: str | None  # None: it never left its first tier
    batch_id: UUID | None
    custom_id: str | None
    metadata: JSON
    created_at: datetime
    completed_at: datetime | None
    output: JSON
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True)
class BatchFacts:
    """A batch that has ended."""

    id: UUID
    feature: str
    feature_version: int
    status: str
    counts: Mapping[str, int]  # jobs by status
    bad_rows: int  # rows that did not become jobs
    metadata: JSON
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True)
class BudgetFacts:
    """A budget that reached an alert level."""

    percent: int  # 50, 80 or 100
    scope: str  # account, user, session
    key: str  # the user or session; empty for the account
    period: str  # day, month
    limit_usd: Decimal
    spent_usd: Decimal
    resets_at: datetime


def job_body(event: str, at: datetime, job: JobFacts, include: frozenset[str]) -> bytes:
    """The bytes of a job's event, stored, signed and sent unchanged."""
    data: dict[str, JSON] = {
        "id": str(job.id),
        "feature": job.feature,
        "feature_version": job.feature_version,
        "status": job.status,
        "status_label": job.status_label,
        "tier": job.tier,
        "escalated": job.escalation_reason is not None,
        "unverified": job.unverified,
        "blocked_reason": job.blocked_reason,
        "batch_id": job.batch_id and str(job.batch_id),
        "custom_id": job.custom_id,
        "metadata": job.metadata,
        "created_at": when(job.created_at),
        "completed_at": when(job.completed_at),
        "url": f"/v1/jobs/{job.id}",
        "attempts_url": f"/v1/jobs/{job.id}/attempts",
    }
    thin = _body(event, at, data)
    if "output" not in include:
        return thin
    error = None
    if job.error_code is not None:
        error = {"code": job.error_code, "message": job.error_message}
    content = {"output": job.output, "error": error, "escalation_reason": job.escalation_reason}
    full = _body(event, at, {**data, **content})
    if len(full) <= MAX_BODY_BYTES:
        return full
    return _body(event, at, {**data, "output_omitted": True})


def batch_body(at: datetime, batch: BatchFacts) -> bytes:
    """The bytes of batch.completed."""
    data: dict[str, JSON] = {
        "id": str(batch.id),
        "feature": batch.feature,
        "feature_version": batch.feature_version,
        "status": batch.status,
        "counts": dict(batch.counts),
        "bad_rows": batch.bad_rows,
        "metadata": batch.metadata,
        "created_at": when(batch.created_at),
        "completed_at": when(batch.completed_at),
        "url": f"/v1/batches/{batch.id}",
        "output_url": f"/v1/batches/{batch.id}/output",
        "errors_url": f"/v1/batches/{batch.id}/errors",
    }
    return _body(BATCH_COMPLETED, at, data)


def budget_body(at: datetime, budget: BudgetFacts) -> bytes:
    """The bytes of budget.alert."""
    data: dict[str, JSON] = {
        "percent": budget.percent,
        "scope": budget.scope,
        "key": budget.key,
        "period": budget.period,
        "limit_usd": usd(budget.limit_usd),
        "spent_usd": usd(budget.spent_usd),
        "resets_at": when(budget.resets_at),
    }
    return _body(BUDGET_ALERT, at, data)


def drift_body(at: datetime, feature: str, evidence: str, moved: Sequence[str]) -> bytes:
    """The bytes of feature.drift. It names what changed and quotes no input."""
    data: dict[str, JSON] = {
        "feature": feature,
        "evidence": evidence,
        "moved": list(moved),
        "url": f"/v1/features/{feature}/drift",
    }
    return _body(DRIFT, at, data)


def refresh_body(at: datetime, feature: str, evidence: str, evidence_at: datetime) -> bytes:
    """The bytes of feature.refresh_due."""
    data: dict[str, JSON] = {
        "feature": feature,
        "evidence": evidence,
        "evidence_at": when(evidence_at),
        "url": f"/v1/features/{feature}/drift",
    }
    return _body(REFRESH_DUE, at, data)


def demoted_body(at: datetime, feature: str, tier: str, version: int, reason: str) -> bytes:
    """The bytes of feature.demoted. The reason quotes no content."""
    data: dict[str, JSON] = {
        "feature": feature,
        "tier": tier,
        "feature_version": version,
        "reason": reason,
        "url": f"/v1/features/{feature}/promotions",
    }
    return _body(DEMOTED, at, data)


def test_body(at: datetime, endpoint_id: UUID) -> bytes:
    """The bytes of a test event, which only shows that deliveries arrive."""
    return _body(TEST, at, {"id": str(endpoint_id), "url": f"/v1/webhook-endpoints/{endpoint_id}"})


def webhook_id(delivery_id: UUID) -> str:
    """The webhook-id header. It is the same for every try, and has no dots, since the signature
    uses them.
    """
    return f"msg_{delivery_id.hex}"


def _body(event: str, at: datetime, data: Mapping[str, JSON]) -> bytes:
    # Escapes instead of UTF-8: no character of a job can make this fail, and with it the
    # transaction that ends the job.
    content = {"type": event, "timestamp": when(at), "data": data}
    return json.dumps(content, separators=(",", ":")).encode("ascii")
