"""What callers are shown: rows as the JSON of the API, of webhooks and of a backfill's output.

Pure; the columns are those of the statements in `storage.job_reads`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tierline.base.formats import usd, when
from tierline.base.json_text import JSON
from tierline.features.model import DEEPER_LABEL
from tierline.rules.jobs import TERMINAL

Row = Mapping[str, Any]

TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
"""The buckets of a call's tokens; no token is in two of them."""


JOB_CONTENT = ("output", "metadata", "user", "session", "custom_id", "escalation_reason")
"""The fields of a job that hold, or may quote, what somebody wrote or a model answered. An error's
message may as well.
"""


def job_json(row: Row, *, content: bool) -> dict[str, JSON]:
    """A job as callers see it. `row` has the columns of `storage.job_reads.JOB_COLUMNS`.

    `content`: whether whoever sees it may read; without it JOB_CONTENT and the error's message are
    left out.
    """
    code = row["error_code"]
    found: dict[str, JSON] = {
        "id": str(row["id"]),
        "feature": row["feature"],
        "feature_version": row["feature_version"],
        "status": row["status"],
        "status_label": status_label(row),
        "tier": row["tier"],
        "model": row["model"],
        "output": row["output"],
        "unverified": row["unverified"],
        "blocked_reason": row["blocked_reason"],
        "error": None if code is None else {"code": code, "message": row["error_message"]},
        "cost_usd": usd(row["cost_usd"]),
        "unknown_cost_calls": row["unknown_cost_calls"],
        "usage": usage(row),
        "metadata": row["metadata"],
        "user": row["user_key"],
        "session": row["session_key"],
        "batch_id": None if row["batch_id"] is None else str(row["batch_id"]),
        "custom_id": row["custom_id"],
        "created_at": when(row["created_at"]),
        "started_at": when(row["started_at"]),
        "completed_at": when(row["completed_at"]),
        "input_removed_at": when(row["input_removed_at"]),
        "output_removed_at": when(row["output_removed_at"]),
        "escalated": row["escalation_reason"] is not None,
        "escalation_reason": row["escalation_reason"],
        "attempts_url": f"/v1/jobs/{row['id']}/attempts",
    }
    if content:
        return found
    found["error"] = None if code is None else {"code": code}
    return {name: value for name, value in found.items() if name not in JOB_CONTENT}


def status_label(row: Row) -> str | None:
    """The words to show a person while the job goes on; None when there is nothing to say.

    `own_label` is the feature's own for this tier: None when it has none, "" when it hides it.
    `place` is the tier's among those that call a model: the one behind a micro tier is the first.
    """
    if row["status"] in TERMINAL:
        return None
    own: str | None = row["own_label"]
    if own is not None:
        return own or None
    return DEEPER_LABEL if row["place"] > 0 else None


def attempt_json(row: Row, calls: list[dict[str, JSON]], *, running: bool) -> dict[str, JSON]:
    """One attempt with its calls. `running`: it is the one that a worker holds now."""
    costs = [call["cost_usd"] for call in calls if call["cost_usd"] is not None]
    unknown = sum(
        call["cost_usd"] is None and (call["settled_at"] is not None or not running)
        for call in calls
    )
    return {
        "number": row["number"],
        "tier": row["tier"],
        "queue": row["queue"],
        "model": row["model"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "repaired": row["repaired"],
        "confidence": row["confidence"],
        "routing": row["routing"],
        "answer": row["answer"],
        "output": row["output"],
        "output_removed_at": when(row["output_removed_at"]),
        "trace": row["trace"],
        "cost_usd": usd(sum((Decimal(cost) for cost in costs), Decimal(0))),
        "unknown_cost_calls": unknown,
        "latency_s": row["latency_s"],
        "started_at": when(row["started_at"]),
        "ended_at": when(row["ended_at"]),
        "worker": row["worker"],
        "calls": calls,
    }


def call_json(row: Row) -> dict[str, JSON]:
    """One call to a model. `model` is the exact one that answered, else the one asked."""
    cost = row["cost_usd"]
    return {
        "number": row["number"],
        "purpose": row["purpose"],
        "model": row["answered_model"] or row["model"].partition(":")[2],
        "asked": row["model"],
        "usage": usage(row),
        "cost_usd": None if cost is None else usd(cost),
        "latency_s": row["latency_s"],
        "error": row["error"],
        "service_tier": row["service_tier"],
        "provider_request_id": row["provider_request_id"],
        "booked_at": when(row["booked_at"]),
        "settled_at": when(row["settled_at"]),
    }


def usage(row: Row) -> dict[str, JSON]:
    """Tokens by kind; null where no call told."""
    return {name: row[name] for name in TOKENS}
