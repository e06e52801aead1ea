"""Which fields of a job and a batch a key that may only submit is told: each is decided here."""

import ast
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import api.routes
from api.access.keys import Caller
from api.access.shown import batch_for, job_for
from tierline.rules.batches import Progress
from tierline.rules.limits import Limits
from tierline.views.batches.batches import Batch, BatchState, StoredBatch
from tierline.views.jobs.jobs import Job, JobRow, JobState, new_job_row
from tierline.views.view import View

TOLD_OF_JOBS = {
    *("id", "feature", "feature_version", "status", "status_label", "tier", "model", "unverified"),
    *("blocked_reason", "error", "cost_usd", "unknown_cost_calls", "usage", "batch_id"),
    *("created_at", "started_at", "completed_at", "input_removed_at", "output_removed_at"),
    *("escalated", "attempts_url", "waiting_for"),
}
KEPT_OF_JOBS = {"output", "metadata", "user", "session", "custom_id", "escalation_reason"}
TOLD_OF_BATCHES = {
    *("id", "feature", "feature_version", "status", "parts", "rows", "bad_rows", "created_at"),
    *("sealed_at", "completed_at", "paused_at", "input_removed_at", "output_url", "errors_url"),
}
KEPT_OF_BATCHES = {"metadata", "webhook_url"}
COUNTED = {"counts", "tiers", "cost_usd", "unknown_cost_calls"}  # where they were taken
DECIDES = {"job_view", "batch_view"}  # whose callers say whether content is shown


def caller(*scopes: str) -> Caller:
    return Caller(1, "acme", 1, frozenset(scopes), Limits(1, 1, 1, 1), capped=False)


NOW = datetime(2026, 11, 30, tzinfo=UTC)


def job(**more: Any) -> JobRow:
    made = new_job_row(
        UUID(int=1),
        feature="echo",
        feature_version=1,
        tier="slm",
        place=0,
        own_label=None,
        metadata={"a": 1},
        user="u",
        session="s",
        created_at=NOW,
    )
    return cast(JobRow, {**made, **more})


def batch(**more: Any) -> StoredBatch:
    columns: dict[str, Any] = {
        **dict.fromkeys(StoredBatch.__annotations__),
        **{"id": UUID(int=2), "feature": "echo", "feature_version": 1, "status": "open"},
        **{"created_at": NOW, "parts": 1, "rows": 2, "bad_rows": 0, **more},
    }
    return cast(StoredBatch, columns)


def told(view: View) -> Any:
    return json.loads(view.to_json())


def required(model: type[View]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}


def test_every_field_of_a_job_is_told_or_kept_from_a_key_that_may_only_submit() -> None:
    failed = job(status="failed", error_code="x", error_message="why")
    assert set(told(job_for(caller("submit", "read"), failed))) == TOLD_OF_JOBS | KEPT_OF_JOBS
    assert set(told(job_for(caller("submit"), failed))) == TOLD_OF_JOBS
    assert told(job_for(caller("admin"), failed))["error"] == {"code": "x", "message": "why"}
    assert told(job_for(caller("submit"), failed))["error"] == {"code": "x"}
    assert required(Job) == TOLD_OF_JOBS | KEPT_OF_JOBS
    assert required(JobState) == TOLD_OF_JOBS
    assert set(JobState.model_fields) == TOLD_OF_JOBS | KEPT_OF_JOBS


def test_every_field_of_a_batch_is_told_or_kept_from_a_key_that_may_only_submit() -> None:
    assert set(told(batch_for(caller("submit", "read"), batch()))) == (
        TOLD_OF_BATCHES | KEPT_OF_BATCHES
    )
    assert set(told(batch_for(caller("submit"), batch()))) == TOLD_OF_BATCHES
    counted = batch_for(caller("submit"), batch(), Progress({}, Decimal(0), 0))
    assert set(told(counted)) == TOLD_OF_BATCHES | COUNTED
    assert required(Batch) == TOLD_OF_BATCHES | KEPT_OF_BATCHES
    assert required(BatchState) == TOLD_OF_BATCHES
    assert set(BatchState.model_fields) == TOLD_OF_BATCHES | KEPT_OF_BATCHES | COUNTED


def test_no_route_decides_for_itself_what_of_a_job_or_batch_is_shown() -> None:
    folder = Path(api.routes.__path__[0])
    for path in [*folder.rglob("*.py"), *folder.parent.glob("*.py")]:
        if path.name == "shown.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not DECIDES & {name.name for name in node.names}, path
            if isinstance(node, ast.Attribute):
                assert node.attr not in DECIDES, path
