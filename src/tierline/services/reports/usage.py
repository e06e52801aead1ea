"""An account's usage: sums of its calls."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import Connection

from tierline.base.errors import InvalidInput, Problem
from tierline.storage.jobs.job_pages import Before
from tierline.storage.operations import bulk_actions
from tierline.storage.reports import usage, user_usage
from tierline.storage.reports.user_usage import UserSum
from tierline.views.reports.installation import UsageRow

GROUPS = tuple(usage.GROUPS)  # what usage can be grouped by
USER = "user"  # by itself: see `usage_by_user`
MOST_EXAMINED = 50_000  # jobs
AT_ONCE = 5_000  # jobs that one statement examines
MOST_USERS = 100


class UserUsage(NamedTuple):
    """An account's usage by user."""

    rows: list[UsageRow]
    more: int  # users that are not in `rows`
    since: datetime  # no earlier job was examined


def usage_of(
    connection: Connection[Any],
    account_id: int,
    since: datetime,
    until: datetime | None,
    groups: Sequence[str],
) -> list[UsageRow]:
    """Sums of the calls booked in [since, until), one row per group that has any. Without `until`,
    up to now.
    """
    return [
        UsageRow.model_validate(
            {
                **{name: getattr(row, name) for name in groups},
                "jobs": row.jobs,
                "calls": row.calls,
                "cost_usd": row.cost_usd,
                "unknown_cost_calls": row.unknown_cost_calls,
                "usage": row,
                "model_s": round(row.model_s, 6),
            }
        )
        for row in usage.usage(connection, account_id, since, until, groups)
    ]


def usage_by_user(
    connection: Connection[Any], account_id: int, since: datetime, until: datetime | None
) -> UserUsage:
    """Sums of the jobs submitted in [since, until), by user, the highest cost first: of the newest
    MOST_EXAMINED jobs, and at most MOST_USERS users. Raises InvalidInput if these jobs do not reach
    back to `until`.
    """
    before = Before(bulk_actions.next_seq(connection))
    sums, reaches = user_usage.usage_by_user(
        connection, account_id, since, until, before, most=MOST_EXAMINED, at_once=AT_ONCE
    )
    if until is not None and reaches is not None and reaches >= until:
        text = f"the newest {MOST_EXAMINED:,} jobs, which it is read from, are all later than this"
        raise InvalidInput([Problem(text, "?to")])
    rows = sorted((row for row in sums if row.calls), key=lambda row: (-row.cost_usd, row.user))
    return UserUsage(
        [_user_row(row) for row in rows[:MOST_USERS]],
        max(0, len(rows) - MOST_USERS),
        since if reaches is None else reaches,
    )


def _user_row(row: UserSum) -> UsageRow:
    return UsageRow.model_validate(
        {
            **{name: getattr(row, name) for name in ("user", "jobs", "calls", "cost_usd")},
            "unknown_cost_calls": row.unknown_cost_calls,
            "usage": row,
            "model_s": round(row.model_s, 6),
        }
    )


def day_of(time: datetime) -> datetime:
    """The beginning of its UTC day. Sums are kept by day and hour, so a window that begins so is
    read fastest.
    """
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
