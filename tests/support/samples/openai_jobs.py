"""Jobs in every state that OpenAI's objects are made from, and their attempts."""

from typing import Any

from tests.support.samples.job_rows import AT, job_row
from tierline.rules.job_events import AttemptFacts

FAILED = {"error_code": "checks_failed", "error_message": "schema: no total"}
ROWS: dict[str, Any] = {
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
    "failed": job_row("failed", **FAILED),
    "failed without a message": job_row("failed", error_code="worker_lost", error_message=None),
    "truncated": job_row("failed", **FAILED | {"error_message": "truncated: at 50 tokens"}),
    "refused": job_row("failed", **FAILED | {"error_message": "refused: no"}),
    "cancelled": job_row("cancelled"),
    "expired": job_row("expired"),
    "with metadata of any kind": job_row("queued", metadata={"n": 1, "list": [1], "none": None}),
    "without metadata": job_row("queued", metadata=None, user_key=None),
}
ATTEMPTS = (
    AttemptFacts(1, "slm", AT, AT, "schema", "no total"),
    AttemptFacts(2, "frontier", AT, AT, "passed", None),
)
