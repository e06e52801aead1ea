"""Plans, and the accounts on them. A plan's budgets are rows of each of its accounts."""

import json
from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.base.json_text import JSON

COLUMNS = "name, first_tier_only, budgets, created_at"

# An account's own budget takes precedence over the plan's of the same scope and period.
_GIVE = """
INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard, plan)
SELECT a.id, b.scope, '', b.period, b.limit_usd, b.hard, p.name
FROM accounts a JOIN plans p ON p.name = a.plan
CROSS JOIN LATERAL json_to_recordset(p.budgets)
    AS b(scope text, period text, limit_usd numeric, hard boolean)
WHERE {which}
ON CONFLICT (account_id, scope, key, period) DO UPDATE
    SET limit_usd = excluded.limit_usd, hard = excluded.hard
    WHERE budgets.plan = excluded.plan
"""


def set_plan(
    connection: Connection[Any], name: str, *, first_tier_only: bool, budgets: Sequence[JSON]
) -> dict[str, Any]:
    """Create the plan, or change it and the budgets of its accounts; amounts spent stay. Call it in
    a transaction.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            INSERT INTO plans (name, first_tier_only, budgets) VALUES (%s, %s, %s::json)
            ON CONFLICT (name) DO UPDATE
                SET first_tier_only = excluded.first_tier_only, budgets = excluded.budgets
            RETURNING {COLUMNS}
            """,
            (name, first_tier_only, json.dumps(budgets)),
        ).fetchone()
        assert row is not None
        _take_away(connection, "b.plan = %(plan)s", name, kept=budgets)
        connection.execute(_GIVE.format(which="a.plan = %s"), (name,))
    return row


def list_plans(connection: Connection[Any]) -> list[dict[str, Any]]:
    """All plans by name, each with its number of accounts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS}, (SELECT count(*) FROM accounts WHERE plan = plans.name)"
            " AS accounts FROM plans ORDER BY name"
        ).fetchall()


def put_on(connection: Connection[Any], account_id: int, plan: str | None) -> bool:
    """Put the account on a plan, or on none; False if there is no such plan. Call it in a
    transaction.
    """
    if plan is not None:
        there = connection.execute(
            "SELECT FROM plans WHERE name = %s FOR SHARE", (plan,)
        ).fetchone()
        if there is None:
            return False
    connection.execute("UPDATE accounts SET plan = %s WHERE id = %s", (plan, account_id))
    _take_away(connection, "b.account_id = %(account)s AND b.plan IS NOT NULL", account_id)
    connection.execute(_GIVE.format(which="a.id = %s"), (account_id,))
    return True


def _take_away(
    connection: Connection[Any], which: str, of: str | int, kept: Sequence[JSON] = ()
) -> None:
    """Remove budgets that came from plans, except those that the plan still has."""
    places = [f"{one['scope']} {one['period']}" for one in kept]
    parameters = {"plan": of, "account": of, "kept": places}
    gone = f"{which} AND NOT (b.scope || ' ' || b.period) = ANY(%(kept)s::text[])"
    # Lock them first, so that no call begins a period of theirs meanwhile.
    connection.execute(f"SELECT FROM budgets b WHERE {gone} ORDER BY id FOR UPDATE", parameters)
    connection.execute(
        "DELETE FROM budget_periods p USING budgets b WHERE p.budget_id = b.id AND " + gone,
        parameters,
    )
    connection.execute("DELETE FROM budgets b WHERE " + gone, parameters)
