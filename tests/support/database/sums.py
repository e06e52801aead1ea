"""What usage must be, counted from the calls themselves, beside what it says it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.storage.db.rows import one_row
from tierline.storage.reports.economics import by_tier
from tierline.storage.reports.feature_sums import Window
from tierline.storage.reports.reports import costs, statuses
from tierline.storage.reports.roll_up import roll_up, roll_up_history
from tierline.storage.reports.usage import usage

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

FROM_CALLS = """
SELECT {columns} count(*)::int AS calls, coalesce(sum(c.cost_usd), 0) AS cost_usd,
    coalesce(sum(c.input_tokens), 0)::int AS input_tokens
FROM calls c JOIN attempts t ON t.job_id = c.job_id AND t.number = c.attempt
WHERE c.account_id = %s {grouping}
"""


def from_calls(connection: Connection[Any], account: int) -> list[tuple[Any, ...]]:
    """(tier, model, purpose, calls, cost, input tokens), from the rows of the calls."""
    groups = "t.tier, c.model, c.purpose"
    statement = FROM_CALLS.format(columns=f"{groups},", grouping=f"GROUP BY {groups} ORDER BY 1, 2")
    return sorted(connection.execute(statement, (account,)).fetchall())


def as_used(
    connection: Connection[Any], account: int, since: datetime = LONG_AGO
) -> list[tuple[Any, ...]]:
    """The same, as usage gives it."""
    rows = usage(connection, account, since, None, ("tier", "model", "purpose"))
    names = ("tier", "model", "purpose", "calls", "cost_usd", "input_tokens")
    return sorted(tuple(getattr(row, name) or 0 for name in names) for row in rows)


def of_reports(connection: Connection[Any], feature: str) -> dict[str, Any]:
    """What a report and economics say of all jobs of a feature."""
    window = Window(feature, LONG_AGO, None)
    jobs = statuses(connection, window)
    tiers, purposes = costs(connection, window)
    means = by_tier(connection, window)
    return {
        "jobs": sum(row.jobs for row in jobs),
        "completed": sum(row.jobs for row in jobs if row.status == "completed"),
        "attempts": sum(row.attempts for row in tiers),
        "served": sum(row.served for row in tiers),
        "latencies": sum(row.latency_p50_s is not None for row in tiers) > 0,
        "cost_usd": sum((row.cost_usd for row in tiers), Decimal(0)),
        "by_purpose_usd": sum((row.cost_usd for row in purposes), Decimal(0)),
        "calls": sum(row.calls for row in purposes),
        "ended_attempts": sum(row.known_attempts + row.unknown_attempts for row in means),
        "known_attempts": sum(row.known_attempts for row in means),
    }


OF_ROWS = """
SELECT (SELECT count(*) FROM jobs) AS jobs,
    (SELECT count(*) FROM jobs WHERE status = 'completed') AS completed,
    (SELECT count(*) FROM attempts) AS attempts,
    (SELECT count(answer_attempt) FROM jobs) AS served,
    EXISTS (SELECT FROM attempts WHERE latency_s IS NOT NULL) AS latencies,
    coalesce(sum(cost_usd), 0) AS cost_usd, coalesce(sum(cost_usd), 0) AS by_purpose_usd,
    count(*) AS calls,
    (SELECT count(*) FROM attempts WHERE ended_at IS NOT NULL) AS ended_attempts,
    (SELECT count(*) FROM attempts a WHERE ended_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM calls c WHERE c.job_id = a.job_id AND c.attempt = a.number
            AND c.cost_usd IS NULL)) AS known_attempts
FROM calls
"""


def of_rows(connection: Connection[Any]) -> dict[str, Any] | None:
    """The same, from the rows of a database with one feature."""
    return one_row(connection, OF_ROWS)


def total(rows: Sequence[tuple[Any, ...]]) -> Decimal:
    """The cost in rows of one of these."""
    return sum((row[4] for row in rows), Decimal(0))


def roll_up_all(pool: ConnectionPool[Any], most: int = 1000) -> None:
    """Count all that may be counted now."""
    with pool.connection() as connection:
        while roll_up_history(connection, most):
            pass
        while roll_up(connection, most) == most:
            pass
