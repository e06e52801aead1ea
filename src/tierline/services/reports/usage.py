"""An account's usage: sums of its calls."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from tierline.storage.reports import usage
from tierline.views.reports.installation import UsageRow

GROUPS = tuple(usage.GROUPS)  # what usage can be grouped by


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


def day_of(time: datetime) -> datetime:
    """The beginning of its UTC day. Sums are kept by day and hour, so a window that begins so is
    read fastest.
    """
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
