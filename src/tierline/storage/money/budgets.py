"""Budgets: their limits, which of them apply to a job, and which are spent.

`reservations` has what calls take from them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

# The budgets that apply to a job, with owner, start and end of the period. A budget for a named
# user or session takes precedence over one for each of them.
APPLYING = """
applying AS (
    SELECT DISTINCT ON (b.scope, b.period) b.id, b.scope, b.period, b.limit_usd, b.hard,
        h.holder, date_trunc(b.period, n.now)::date AS starts_on,
        (date_trunc(b.period, n.now) + ('1 ' || b.period)::interval) AT TIME ZONE 'UTC' AS ends_at
    FROM budgets b
    CROSS JOIN (SELECT statement_timestamp() AT TIME ZONE 'UTC' AS now) n
    CROSS JOIN LATERAL (
        SELECT CASE b.scope WHEN 'account' THEN '' WHEN 'user' THEN %(user)s::text
            ELSE %(session)s::text END AS holder
    ) h
    WHERE b.account_id = %(account_id)s AND h.holder IS NOT NULL AND b.key IN ('', h.holder)
    ORDER BY b.scope, b.period, b.key DESC
)"""


@dataclass(frozen=True)
class Holder:
    """Whose budgets pay for a job's calls."""

    account_id: int
    user: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Full:
    """A budget that does not cover a call's highest possible cost."""

    scope: str
    period: str
    limit_usd: Decimal
    ends_at: datetime
    waits: bool  # it would cover the call without the reservations of calls under way
    spent_usd: Decimal


_FULL = f"""
WITH {APPLYING}
SELECT a.scope, a.period, a.limit_usd, a.ends_at, p.spent_usd < a.limit_usd AS waits,
    p.spent_usd
FROM applying a
JOIN budget_periods p ON p.budget_id = a.id AND p.key = a.holder AND p.starts_on = a.starts_on
WHERE {{condition}}
ORDER BY waits, a.ends_at DESC LIMIT 1
"""
SPENT = _FULL.format(condition="a.hard AND p.spent_usd + p.reserved_usd >= a.limit_usd")
BLOCKING = _FULL.format(condition="p.spent_usd >= a.limit_usd")
APPLIES = f"WITH {APPLYING} SELECT FROM applying LIMIT 1"


def blocking(connection: Connection[Any], holder: Holder) -> Full | None:
    """A spent budget, hard or soft: the job may not go to a later tier."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(BLOCKING, vars(holder)).fetchone()
    return None if row is None else Full(**row)


def any_applies(connection: Connection[Any], holder: Holder) -> bool:
    """Whether any budget pays for the job's calls."""
    return connection.execute(APPLIES, vars(holder)).fetchone() is not None


def hard_ones(connection: Connection[Any], holder: Holder) -> Full | None:
    """A hard budget with nothing left, or None. It only reads, so the result may change at once."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SPENT, vars(holder)).fetchone()
    return None if row is None else Full(**row)


async def hard_ones_async(connection: AsyncConnection[Any], holder: Holder) -> Full | None:
    """The same, for the API's event loop."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        row = await (await cursor.execute(SPENT, vars(holder))).fetchone()
    return None if row is None else Full(**row)


_SHOWN = """
    b.id, a.name AS account, b.scope, b.key, b.period, b.limit_usd, b.hard, b.plan, b.created_at,
    coalesce(p.spent_usd, 0) AS spent_usd, coalesce(p.reserved_usd, 0) AS reserved_usd,
    (date_trunc(b.period, now) + ('1 ' || b.period)::interval) AT TIME ZONE 'UTC' AS resets_at
"""
# For a budget of each user or session: the one that has used most.
_PERIOD = """
CROSS JOIN (SELECT statement_timestamp() AT TIME ZONE 'UTC' AS now) n
LEFT JOIN LATERAL (
    SELECT spent_usd, reserved_usd FROM budget_periods
    WHERE budget_id = b.id AND starts_on = date_trunc(b.period, now)::date
    ORDER BY spent_usd + reserved_usd DESC LIMIT 1
) p ON true
"""


def set_budget(
    connection: Connection[Any],
    account_id: int,
    scope: str,
    key: str,
    period: str,
    limit_usd: Decimal,
    *,
    hard: bool,
) -> dict[str, Any]:
    """Create the budget or change it; the amount spent stays."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            WITH b AS (
                INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard)
                VALUES (%s, %s, %s, %s, %s, %s)
                ON CONFLICT (account_id, scope, key, period)
                DO UPDATE SET limit_usd = excluded.limit_usd, hard = excluded.hard, plan = NULL
                RETURNING *
            )
            SELECT {_SHOWN} FROM b JOIN accounts a ON a.id = b.account_id {_PERIOD}
            """,
            (account_id, scope, key, period, limit_usd, hard),
        ).fetchone()
    assert row is not None
    return row


def list_budgets(connection: Connection[Any], account_id: int | None) -> list[dict[str, Any]]:
    """The budgets of an account, or of all, with the amount used in the present period."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            SELECT {_SHOWN} FROM budgets b JOIN accounts a ON a.id = b.account_id {_PERIOD}
            WHERE %(account)s::bigint IS NULL OR b.account_id = %(account)s
            ORDER BY a.name, b.scope, b.key, b.period
            """,
            {"account": account_id},
        ).fetchall()


def remove_budget(connection: Connection[Any], id: int) -> bool:
    """False if there is none. Its open calls are settled in their other budgets. Call it in a
    transaction.
    """
    # Lock it first, so that no call begins a period of it meanwhile.
    connection.execute("SELECT FROM budgets WHERE id = %s FOR UPDATE", (id,))
    connection.execute("DELETE FROM budget_periods WHERE budget_id = %s", (id,))
    return connection.execute("DELETE FROM budgets WHERE id = %s", (id,)).rowcount == 1


def forget_periods(connection: Connection[Any], older_than_days: int, most: int) -> int:
    """Remove periods of budgets that began so long ago, at most `most`. Returns how many.

    Nothing reads a period that is over, except calls that were booked in it. The ids are in the
    order of time, so that no index by time is needed.
    """
    return connection.execute(
        """
        DELETE FROM budget_periods WHERE id IN (
            SELECT id FROM (
                SELECT id, starts_on FROM budget_periods ORDER BY id LIMIT %s
            ) oldest
            WHERE starts_on < (statement_timestamp() AT TIME ZONE 'UTC')::date - %s::int
        )
        """,
        (most, older_than_days),
    ).rowcount
