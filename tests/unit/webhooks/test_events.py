"""The bodies of events: thin unless the endpoint asks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from tierline.base.json_text import JSON
from tierline.webhooks.events import (
    EVENTS,
    MAX_BODY_BYTES,
    TEST,
    BatchFacts,
    JobFacts,
    batch_body,
    job_body,
    webhook_id,
)

JOB_ID = UUID("01900000-0000-7000-8000-000000000001")
AT = datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC)
SECRET_TEXT = "what the model wrote"
THIN: frozenset[str] = frozenset()
WITH_OUTPUT = frozenset({"output"})


PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"


def job(output: JSON = SECRET_TEXT) -> JobFacts:
    return JobFacts(
        id=JOB_ID,
        feature="invoice-fields",
        feature_version=3,
        status="completed",
        status_label=None,
        tier="frontier",
        unverified=False,
        blocked_reason=None,
        escalation_reason=f"rule: {SECRET_TEXT}",
        batch_id=None,
        custom_id="row-7",
        metadata={"order": 12},
        created_at=AT,
        completed_at=AT,
        output=output,
        error_code="checks_failed",
        error_message=SECRET_TEXT,
    )


def test_a_thin_body_says_which_job_and_how_it_stands() -> None:
    body = json.loads(job_body("job.completed", AT, job(), THIN))

    assert body["type"] == "job.completed"
    assert body["timestamp"] == "2026-03-01T12:00:00.000500Z"
    assert body["data"] == {
        "id": str(JOB_ID),
        "feature": "invoice-fields",
        "feature_version": 3,
        "status": "completed",
        "status_label": None,
        "tier": "frontier",
        "escalated": True,
        "unverified": False,
        "blocked_reason": None,
        "batch_id": None,
        "custom_id": "row-7",
        "metadata": {"order": 12},
        "created_at": "2026-03-01T12:00:00.000500Z",
        "completed_at": "2026-03-01T12:00:00.000500Z",
        "url": f"/v1/jobs/{JOB_ID}",
        "attempts_url": f"/v1/jobs/{JOB_ID}/attempts",
    }


def test_a_thin_body_holds_nothing_of_the_answer() -> None:
    assert SECRET_TEXT.encode() not in job_body("job.completed", AT, job(), THIN)


def test_a_body_with_output_has_the_error_too() -> None:
    data = json.loads(job_body("job.failed", AT, job(), WITH_OUTPUT))["data"]

    assert data["output"] == SECRET_TEXT
    assert data["error"] == {"code": "checks_failed", "message": SECRET_TEXT}
    assert data["escalation_reason"] == f"rule: {SECRET_TEXT}"


def test_an_output_that_is_too_large_is_left_out_and_said() -> None:
    body = job_body("job.completed", AT, job("x" * MAX_BODY_BYTES), WITH_OUTPUT)

    data = json.loads(body)["data"]
    assert "output" not in data
    assert data["output_omitted"] is True
    assert len(body) < 2000


@pytest.mark.parametrize("text", ["größer…", "\ud800", "\x00", "😀"])
def test_no_character_can_make_a_body_fail(text: str) -> None:
    assert (
        json.loads(job_body("job.completed", AT, job(text), WITH_OUTPUT))["data"]["output"] == text
    )


def test_a_webhook_id_holds_no_dot_which_the_signature_separates_by() -> None:
    assert webhook_id(JOB_ID) == "msg_01900000000070008000000000000001"


def test_a_batch_body_counts_jobs_by_status() -> None:
    facts = BatchFacts(
        id=JOB_ID,
        feature="invoice-fields",
        feature_version=1,
        status="completed",
        counts={"completed": 8, "failed": 2},
        bad_rows=1,
        metadata=None,
        created_at=AT,
        completed_at=AT,
    )

    body = json.loads(batch_body(AT, facts))

    assert body["type"] == "batch.completed"
    assert body["data"]["counts"] == {"completed": 8, "failed": 2}
    assert body["data"]["bad_rows"] == 1
    assert body["data"]["output_url"] == f"/v1/batches/{JOB_ID}/output"


@pytest.mark.parametrize("event", [*EVENTS, TEST])
def test_every_event_stands_in_the_docs(event: str) -> None:
    assert f"`{event}`" in PAGE.read_text()
