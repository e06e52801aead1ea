"""An account's usage: sums of its calls, by any of day, feature, tier, model and purpose.

They are computed on request from the calls themselves, so that account, jobs and calls agree. Jobs
and attempts are joined only if the groups need them, because that is most of the cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_reads import SUMS

GROUPS = {
    "day": "to_char(c.booked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "feature": "v.name",
    "tier": "t.tier",
    "model": "c.model",
    "purpose": "c.purpose",
}
"""The possible groups. `model` is the requested one, as the feature names it; `purpose` separates
what callers asked for from the comparison of answers (rules.purposes)."""

JOINS = {
    "feature": "JOIN jobs j ON j.id = c.job_id"
    " JOIN feature_versions v ON v.id = j.feature_version_id",
    "tier": "JOIN attempts t ON t.job_id = c.job_id AND t.number = c.attempt",
}

# job_reads.UNKNOWN_COST, but the job is looked up only for open calls.
UNKNOWN_COST = """
c.cost_usd IS NULL AND (c.settled_at IS NOT NULL OR (
    SELECT own.status <> 'in_progress' OR c.attempt <> own.attempts
    FROM jobs own WHERE own.id = c.job_id))
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
    until: datetime,
    groups: Sequence[str],
) -> list[UsageSum]:
    """Sums of the calls recorded in [since, until), for each group with any."""
    joins = " ".join(JOINS[name] for name in groups if name in JOINS)
    columns = "".join(f"{GROUPS[name]} AS {name}, " for name in groups)
    grouping = f"GROUP BY {', '.join(GROUPS[name] for name in groups)}" if groups else ""
    ordering = f"ORDER BY {', '.join(groups)}" if groups else ""
    return typed_rows(
        connection,
        UsageSum,
        f"""
        SELECT {columns}
            count(DISTINCT c.job_id) AS jobs, count(*) AS calls,
            coalesce(sum(c.cost_usd), 0) AS cost_usd,
            count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls,
            {SUMS},
            coalesce(sum(c.latency_s), 0) AS model_s
        FROM calls c
        {joins}
        WHERE c.account_id = %(account_id)s
            AND c.booked_at >= %(since)s AND c.booked_at < %(until)s
        {grouping} {ordering}
        """,
        {"account_id": account_id, "since": since, "until": until},
    )
