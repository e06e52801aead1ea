"""The JSON of budgets."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from tierline.views.view import Page, TextId, Time, Usd, View

BudgetScope = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["account", "user", "session"]})
]
BudgetPeriod = Annotated[str, WithJsonSchema({"type": "string", "enum": ["day", "month"]})]


class Budget(View):
    """A budget, with what is spent of its current period."""

    id: TextId
    account: str
    scope: BudgetScope
    key: str = Field(description="the user or session; empty: each has its own budget")
    period: BudgetPeriod
    limit_usd: Usd
    hard: bool
    plan: str | None = Field(description="the plan it belongs to; null: the account's own")
    spent_usd: Usd
    reserved_usd: Usd = Field(description="USD, for calls under way or lost")
    resets_at: Time
    created_at: Time


class BudgetSet(Budget):
    """A budget that was set."""

    warnings: list[str] = Field(description="tiers that it can never pay for")


class BudgetList(Page[Budget]):
    """Budgets."""
