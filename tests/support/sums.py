"""What usage must be, counted from the calls themselves, beside what it says it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

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
