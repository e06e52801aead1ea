"""The row of an operation, which trainings and threshold searches show."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status


class OperationRow(TypedDict):
    """The row of an operation."""

    id: int
    feature: str
    kind: str
    account_id: int  # who asked for it
    readable_account_id: int | None  # whose job content it may read; None: all accounts
    options: dict[str, JSON]
    status: str
    progress: JSON  # {phase, done, of}; None: it is not running
    claim_token: UUID | None
    losses: int  # of its lease
    cancel_requested_at: datetime | None
    result: JSON  # None: it is not completed
    error_code: str | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


def is_open(row: OperationRow) -> bool:
    """Whether the operation has not ended."""
    return row["status"] in (Status.QUEUED, Status.IN_PROGRESS)
