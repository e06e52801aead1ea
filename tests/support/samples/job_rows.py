"""Rows of jobs as they are read to be shown, made from what a test needs of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from tierline.views.jobs import JobRow, new_job_row
from tierline.views.tokens import TOKENS

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
    known = {**begun, **ended, **done, **tokens, **cost}
    return cast(JobRow, {**row, "status": status, "account_id": 1, **known, **more})
