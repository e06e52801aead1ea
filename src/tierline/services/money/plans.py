"""Plans: setting a plan, and putting accounts on it."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.services.accounts.read_accounts import account_id_of
from tierline.storage.money import plans


def set_plan(
    connection: Connection[Any], name: str, *, first_tier_only: bool, budgets: Sequence[JSON]
) -> dict[str, Any]:
    """Create or change a plan. Raises InvalidInput for two budgets of one scope and period."""
    seen: set[tuple[str, str]] = set()
    for place, one in enumerate(budgets):
        if (one["scope"], one["period"]) in seen:
            raise InvalidInput(
                [
                    Problem(
                        f"the plan has another budget of the {one['scope']} a {one['period']}",
                        f"/budgets/{place}",
                    )
                ]
            )
        seen.add((one["scope"], one["period"]))
    with connection.transaction():
        return plans.set_plan(connection, name, first_tier_only=first_tier_only, budgets=budgets)


def list_plans(connection: Connection[Any]) -> list[dict[str, Any]]:
    """Every plan by name, with how many accounts are on it."""
    return plans.list_plans(connection)


def put_on(connection: Connection[Any], account: str, plan: str | None) -> None:
    """Put an account on a plan, or take it off its plan. Raises NotFound, InvalidInput."""
    account_id = account_id_of(connection, account)
    with connection.transaction():
        is_put = plans.put_on(connection, account_id, plan)
    if not is_put:
        names = ", ".join(row["name"] for row in plans.list_plans(connection)[:20]) or "none yet"
        raise InvalidInput(
            [Problem(f"there is no plan {str(plan)[:63]!r}; known: {names}", "/plan")]
        )
