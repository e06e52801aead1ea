"""Rows of jobs as they are read to be shown, made from what a test needs of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from tierline.rules.job_events import AttemptFacts
from tierline.views.jobs.jobs import JobRow, new_job_row
from tierline.views.jobs.tokens import TOKENS

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB_ID = UUID("01975c2e-7a10-7cc0-8a1f-3f2b9c5d0e11")


def job_row(status: str = "queued", **more: Any) -> JobRow:
    """A job of the feature `echo` in that state."""
    row = new_job_row(
        JOB_ID,
        feature="echo",
        feature_version=3,
        tier="slm",
        place=0,
        own_label=None,
        metadata={"source": "mail"},
        user="u-1",
        session=None,
        created_at=AT,
    )
    begun = {} if status == "queued" else {"started_at": AT}
    ended = {} if status in ("queued", "in_progress") else {"completed_at": AT}
    done = {"output": {"text": "hello"}, "model": "small-1"} if status == "completed" else {}
    tokens = dict.fromkeys(TOKENS, 7) if status == "completed" else {}
    cost = {"cost_usd": Decimal("0.00042")} if status == "completed" else {}
    facts = {**begun, **ended, **done, **tokens, **cost}
    return cast(JobRow, {**row, "status": status, "account_id": 1, **facts, **more})


_FAILED = {"error_code": "checks_failed", "error_message": "schema: no total"}
ROWS: dict[str, JobRow] = {
    "queued": job_row(),
    "in progress": job_row("in_progress"),
    "waiting for deeper analysis": job_row(
        "queued", started_at=AT, tier="frontier", place=1, escalation_reason="schema: no total"
    ),
    "completed": job_row("completed"),
    "completed with a text": job_row("completed", output="plain"),
    "completed with null": job_row("completed", output=None),
    "completed and its output removed": job_row("completed", output=None, output_removed_at=AT),
    "unverified": job_row("completed", unverified=True, blocked_reason="the budget is spent"),
    "of unknown cost": job_row("completed", unknown_cost_calls=2),
    "failed": job_row("failed", **_FAILED),
    "failed without a message": job_row("failed", error_code="worker_lost", error_message=None),
    "truncated": job_row("failed", **_FAILED | {"error_message": "truncated: at 50 tokens"}),
    "refused": job_row("failed", **_FAILED | {"error_message": "refused: no"}),
    "cancelled": job_row("cancelled"),
    "expired": job_row("expired"),
    "with metadata of any kind": job_row("queued", metadata={"n": 1, "list": [1], "none": None}),
    "without metadata": job_row("queued", metadata=None, user_key=None),
}
ATTEMPTS = (
    AttemptFacts(1, "slm", AT, AT, "schema", "no total"),
    AttemptFacts(2, "frontier", AT, AT, "passed", None),
)
