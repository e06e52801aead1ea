"""Which fields of a job and a batch a key that may only submit is told: each is decided here."""

import ast
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import api.routes
from api import batch_schemas, schemas
from api.keys import Caller
from api.shown import batch_for, job_for
from tierline.rules.limits import Limits

TOLD_OF_JOBS = {
    *("id", "feature", "feature_version", "status", "status_label", "tier", "model", "unverified"),
    *("blocked_reason", "error", "cost_usd", "unknown_cost_calls", "usage", "batch_id"),
    *("created_at", "started_at", "completed_at", "input_removed_at", "output_removed_at"),
    *("escalated", "attempts_url"),
}
KEPT_OF_JOBS = {"output", "metadata", "user", "session", "custom_id", "escalation_reason"}
TOLD_OF_BATCHES = {
    *("id", "feature", "feature_version", "status", "parts", "rows", "bad_rows", "created_at"),
    *("sealed_at", "completed_at", "input_removed_at", "output_url", "errors_url"),
}
KEPT_OF_BATCHES = {"metadata", "webhook_url"}
COUNTED = {"counts", "tiers", "cost_usd", "unknown_cost_calls"}  # where they were taken
DECIDES = {"job_json", "batch_json"}  # whose callers say whether content is shown


def caller(*scopes: str) -> Caller:
    return Caller(1, "acme", 1, frozenset(scopes), Limits(1, 1, 1, 1), capped=False)


def row(**more: Any) -> Mapping[str, Any]:
    known: dict[str, Any] = {"status": "failed", "error_code": "x", "error_message": "why", **more}
    found: dict[str, Any] = defaultdict(lambda: None, known)
    return found


def test_every_field_of_a_job_is_told_or_kept_from_a_key_that_may_only_submit() -> None:
    job = row(cost_usd=Decimal(0))
    assert set(job_for(caller("submit", "read"), job)) == TOLD_OF_JOBS | KEPT_OF_JOBS
    assert set(job_for(caller("submit"), job)) == TOLD_OF_JOBS
    assert job_for(caller("admin"), job)["error"] == {"code": "x", "message": "why"}
    assert job_for(caller("submit"), job)["error"] == {"code": "x"}
    assert set(schemas.COMPONENTS["Job"]["required"]) == TOLD_OF_JOBS | KEPT_OF_JOBS
    assert set(schemas.COMPONENTS["JobState"]["required"]) == TOLD_OF_JOBS


def test_every_field_of_a_batch_is_told_or_kept_from_a_key_that_may_only_submit() -> None:
    assert set(batch_for(caller("submit", "read"), row())) == TOLD_OF_BATCHES | KEPT_OF_BATCHES
    assert set(batch_for(caller("submit"), row())) == TOLD_OF_BATCHES
    told = batch_schemas.COMPONENTS
    assert set(told["Batch"]["required"]) == TOLD_OF_BATCHES | KEPT_OF_BATCHES
    assert set(told["BatchState"]["required"]) == TOLD_OF_BATCHES
    assert set(told["BatchState"]["properties"]) == TOLD_OF_BATCHES | KEPT_OF_BATCHES | COUNTED


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
