"""The JSON of plans."""

from pydantic import Field

from tierline.views.view import Page, Time, Usd, View


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
