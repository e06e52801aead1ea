"""Bulk actions as rows, and as callers see them."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from pydantic import Field

from tierline.rules.bulk_actions import Action, BulkStatus, Reason
from tierline.views.view import Page, Time, Usd, View


class StoredFilter(TypedDict):
    """The filter in a row; None: any."""

    feature: str | None
    tier: str | None
    status: str | None
    batch_id: str | None
    drafts: bool
    verdict: NotRequired[str | None]
    user: NotRequired[str | None]
    session: NotRequired[str | None]
    metadata: NotRequired[str | None]  # key=value
    escalated: NotRequired[bool | None]


class BulkActionRow(TypedDict):
    """The row of a bulk action."""

    id: UUID
    seq: int
    account_id: int
    key_id: int
    action: str
    filter: StoredFilter
    most: int | None
    status: str
    matched: int
    more: bool
    at_most_usd: Decimal | None
    position: int
    done: int
    failed: int
    errors: dict[str, Reason]
    waits_for: str | None
    created_at: datetime
    ended_at: datetime | None


class BulkFilter(View):
    """Which jobs the action is about; null: any."""

    feature: str | None
    tier: str | None
    status: str | None
    batch_id: UUID | None
    drafts: bool
    verdict: str | None = None
    user: str | None = None
    session: str | None = None
    metadata: str | None = Field(default=None, description="key=value")
    escalated: bool | None = None


class BulkError(View):
    """Why the action did not apply to some jobs."""

    reason: str
    message: str
    count: int
    job_ids: list[UUID] = Field(description="some of them")


class BulkPlan(View):
    """What an action would do."""

    action: Action
    filter: BulkFilter
    limit: int | None = Field(description="jobs to act on at most; null: all that match")
    matched: int = Field(description="jobs that match; counting stops at 10,000")
    more: bool = Field(description="there are more than were counted")
    at_most_usd: Usd | None = Field(
        description="estimated cost of the new jobs, as if each tier were asked and gave its"
        " longest answer; null: a price is unknown"
    )


class BulkAction(BulkPlan):
    """One action on all jobs that match a filter."""

    id: UUID
    status: BulkStatus
    done: int = Field(description="jobs that it was done to")
    failed: int = Field(description="jobs that it did not apply to")
    errors: list[BulkError] = Field(description="by reason, the most frequent first")
    waits_for: Literal["queue", "budget"] | None = Field(
        description="why it makes no new jobs now: the account has its maximum of jobs queued, or a"
        " hard budget is spent"
    )
    created_at: Time
    ended_at: Time | None


class BulkActionList(Page[BulkAction]):
    """An account's bulk actions, the newest first."""


def bulk_action_view(row: BulkActionRow) -> BulkAction:
    """The action as callers see it."""
    errors = sorted(row["errors"].items(), key=lambda one: (-one[1]["count"], one[0]))
    return BulkAction.model_validate(
        {
            **row,
            "limit": row["most"],
            "errors": [{"reason": reason, **counts} for reason, counts in errors],
        }
    )
