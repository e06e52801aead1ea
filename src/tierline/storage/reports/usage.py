"""An account's usage: sums of its calls, by any of day, feature, tier, model and purpose.

Whole hours come from the sums. Read beside them are the calls that are not rolled up yet, and those
of the hours that the window cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.ids import database_now, first_id_of
from tierline.rules.partitions import LATE
from tierline.rules.windows import Parts, divide
from tierline.storage.db.homes import Span
from tierline.storage.reports.facts import USAGE, as_planned, by_key, jobs_column
from tierline.storage.reports.floors import floor
from tierline.storage.reports.uncounted import (
    ATTEMPTS,
    OLD_ATTEMPT,
    in_sums,
    snapshot,
    uncounted_rows,
)
from tierline.views.jobs.tokens import TOKENS

GROUPS = {
    "day": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "feature": "feature",
    "tier": "tier",
    "model": "model",
    "purpose": "purpose",
}
"""The possible groups. `model` is the requested one, as the feature names it; `purpose` separates
what callers asked for from the comparison of answers (rules.purposes)."""

_KEYS = "c.job_id, c.attempt, c.number"
_WHOLE = "c.booked_at >= %(whole_since)s AND c.booked_at < %(whole_until)s"
_OF_EDGE = """c.account_id = %(account_id)s
        AND c.booked_at >= edge.since AND c.booked_at < edge.until"""
_UNCOUNTED = f"""
    SELECT {_KEYS} FROM uncounted u
    {by_key("@calls", "c", "c.job_id = u.job_id AND c.attempt = u.number")}
    WHERE c.account_id = %(account_id)s AND {_WHOLE}
    UNION ALL
    SELECT {_KEYS} FROM unnest(%(edge_since)s::timestamptz[], %(edge_until)s::timestamptz[])
        edge (since, until)
    {by_key("@calls", "c", _OF_EDGE)}"""
_HISTORY = f"""
    UNION ALL
    SELECT {_KEYS} FROM calls c JOIN attempts a ON a.job_id = c.job_id AND a.number = c.attempt
    WHERE c.account_id = %(account_id)s AND {_WHOLE} AND {OLD_ATTEMPT.format(a="a")}"""

# {history}: nothing, or _HISTORY while there is any.
_OF_GRAIN = """s.account_id = %(account_id)s AND s.daily = grain.daily_ones
        AND s.at >= grain.since AND s.at < grain.until"""
_SUMMED = f"""
    SELECT {USAGE.columns} FROM unnest(%(grain_daily)s::bool[], %(grain_since)s::timestamptz[],
        %(grain_until)s::timestamptz[]) grain (daily_ones, since, until)
    {by_key("usage_sums", "s", _OF_GRAIN)}"""
_SUMS_ALONE = f"WITH summed AS ({_SUMMED})"
_READ = f"""
WITH {ATTEMPTS}, chosen_calls AS ({_UNCOUNTED}{{history}}
), summed AS ({_SUMMED}
    UNION ALL
    SELECT {USAGE.columns} FROM ({{facts}}) facts
)
"""


@dataclass(frozen=True)
class UsageSum:
    """The sums of one group's calls. What it is not grouped by is None."""

    jobs: int
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int
    input_tokens: int | None  # tokens: None if no call reported them
    cached_input_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    model_s: float  # seconds spent in calls
    day: str | None = None  # YYYY-MM-DD in UTC
    feature: str | None = None
    tier: str | None = None
    model: str | None = None
    purpose: str | None = None


def usage(
    connection: Connection[Any],
    account_id: int,
    since: datetime,
    until: datetime | None,
    groups: Sequence[str],
) -> list[UsageSum]:
    """Sums of the calls recorded in [since, until), a row for each group with any. Without `until`,
    up to now.

    A job is counted once for each group, at its first call there.
    """
    columns = "".join(f"{GROUPS[name]} AS {name}, " for name in groups)
    grouping = f"GROUP BY {', '.join(str(n + 1) for n in range(len(groups)))}" if groups else ""
    ordering = f"ORDER BY {', '.join(str(n + 1) for n in range(len(groups)))}" if groups else ""
    # Sums of a group without calls are null, and there is no such group.
    tokens = ", ".join(f"sum({name})::bigint AS {name}" for name in TOKENS)
    with snapshot(connection) as counted:
        parts = divide(since, until)
        if not parts.edges and in_sums(connection, counted):
            read = _SUMS_ALONE
        else:
            much = counted.history_from is not None
            read = _READ.format(
                history=_HISTORY if much else "",
                facts=USAGE.facts_by(as_planned if much else by_key),
            )
        statement = f"""{read}
            SELECT {columns}
                coalesce(sum({jobs_column(groups)}), 0)::bigint AS jobs,
                coalesce(sum(calls), 0)::bigint AS calls,
                coalesce(sum(cost_usd), 0) AS cost_usd,
                coalesce(sum(unknown_cost_calls), 0)::bigint AS unknown_cost_calls,
                {tokens},
                coalesce(sum(model_s), 0) AS model_s
            FROM summed {grouping} {ordering}
            """
        return uncounted_rows(
            connection,
            UsageSum,
            statement,
            {
                "account_id": account_id,
                "rolled_to": counted.rolled_to,
                "history_from": counted.history_from,
                **parts.parameters(),
            },
            counted,
            _edges(connection, parts),
        )


def _edges(connection: Connection[Any], parts: Parts) -> list[Span]:
    """The ids of the jobs that may have calls in the hours that the window cuts."""
    return [
        Span(floor(connection, edge.since), first_id_of(min(edge.until, database_now()), -LATE))
        for edge in parts.edges
    ]
