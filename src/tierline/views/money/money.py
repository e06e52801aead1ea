"""The JSON of budgets, plans and prices."""

from datetime import date
from typing import Annotated

from pydantic import Field, WithJsonSchema

from tierline.views.view import AnyObject, Page, TextId, Time, Usd, View

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


class PlanBudget(View):
    """A budget of each account on a plan."""

    scope: str
    period: str
    limit_usd: Usd
    hard: bool


class Plan(View):
    """What the accounts on a plan may spend and use."""

    name: str
    first_tier_only: bool = Field(description="its accounts may not escalate")
    budgets: list[PlanBudget]
    accounts: int = Field(default=0, description="number of accounts on it; in lists")
    created_at: Time


class PlanList(Page[Plan]):
    """All plans."""


class OnPlan(View):
    """Which plan an account is on."""

    account: str
    plan: str | None


class Price(View):
    """A price that the operator set, from a given time on."""

    id: TextId
    model: str = Field(description="provider:model")
    service_tier: str = Field(validation_alias="terms", description="empty: the standard")
    since: Time
    in_force: bool
    price: AnyObject | None = Field(description="USD per million tokens; null: withdrawn")
    note: str
    created_at: Time


class PriceEdition(View):
    """The edition of the public list prices in use."""

    source: str
    version: str
    compiled_on: date


class PriceList(Page[Price]):
    """The operator's own prices, and the public ones that apply otherwise."""

    edition: PriceEdition = Field(alias="list")
