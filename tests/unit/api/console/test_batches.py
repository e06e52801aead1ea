"""A batch's rate, its cost to come, and its errors by kind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from api.console.views.batches import errors_of, shown_of
from tierline.views.batches.batches import Batch

OPENED = datetime(2026, 3, 1, tzinfo=UTC)
NOW = OPENED + timedelta(minutes=10)
ID = UUID(int=7)


def batch(counts: dict[str, int], cost: str = "0", **more: Any) -> Batch:
    document = {
        **{"id": ID, "feature": "echo", "feature_version": 1, "status": "sealed"},
        **{"metadata": None, "webhook_url": None, "parts": 1, "rows": 0, "bad_rows": 0},
        **{"created_at": OPENED, "sealed_at": OPENED, "completed_at": None, "paused_at": None},
        **{"input_removed_at": None, "output_url": "", "errors_url": ""},
        **{"counts": counts, "cost_usd": Decimal(cost), **more},
    }
    return Batch.model_validate(document)


def test_rate_time_and_cost_to_come_follow_from_the_jobs_that_have_ended() -> None:
    counts = {"completed": 90, "failed": 10, "in_progress": 4, "queued": 296}
    shown = shown_of(batch(counts, "2.00"), NOW)
    assert (shown.jobs, shown.ended) == (400, 100)
    assert shown.per_minute == 10
    assert shown.left_s == 30 * 60
    assert shown.to_come_usd == Decimal(6)


def test_nothing_is_said_before_a_job_has_ended() -> None:
    shown = shown_of(batch({"queued": 5}), NOW)
    assert (shown.per_minute, shown.left_s, shown.to_come_usd) == (None, None, None)


def test_a_batch_that_is_over_costs_no_more() -> None:
    shown = shown_of(batch({"completed": 5}, "1", completed_at=NOW), NOW + timedelta(hours=5))
    assert shown.to_come_usd == 0
    assert shown.left_s is None
    assert shown.per_minute == 0.5


def test_the_slices_fill_the_bar() -> None:
    slices = shown_of(batch({"completed": 2, "failed": 1}, bad_rows=1), NOW).slices
    assert [(one.name, one.begin, one.width) for one in slices] == [
        ("completed", 0, 50),
        ("failed", 50, 25),
        ("invalid rows", 75, 25),
    ]


def job(code: str | None, message: str | None = None) -> Any:
    return {"id": ID, "status": "failed", "error_code": code, "error_message": message}


def test_errors_are_counted_by_kind_with_an_example() -> None:
    rows: list[Any] = [
        job("checks_failed", "no total"),
        {"problems": [{"path": "/text", "message": "is required"}]},
        job("checks_failed"),
        job(None),
    ]
    assert [(one.code, one.rows, one.example) for one in errors_of(rows)] == [
        ("checks_failed", 2, "no total"),
        ("invalid row", 1, "/text: is required"),
        ("failed", 1, ""),
    ]
