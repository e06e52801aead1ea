"""Budgets and usage as the console shows them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from api.console.views.charts import Chart, ValueFormat, bars_by_name
from api.console.views.formats import usd
from api.console.views.marks import Mark
from tierline.views.money.budgets import Budget
from tierline.views.reports.installation import UsageRow

NEARLY_SPENT = Decimal("0.8")


class Day(NamedTuple):
    """A day's usage."""

    day: date
    jobs: int
    calls: int
    cost_usd: Decimal
    unknown_cost_calls: int


class Total(NamedTuple):
    """The sum of several rows."""

    jobs: int
    calls: int
    cost_usd: Decimal
    unknown_cost_calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class ShownBudget:
    """A budget and how much of it is used."""

    budget: Budget
    spent: float  # shares of the limit, from 0 to 100
    reserved: float
    mark: Mark


def per_day(rows: Iterable[UsageRow], first: date, days: int) -> list[Day]:
    """A row for each day, also for those without usage, the earliest first."""
    by_day = {row.day: row for row in rows}
    daily = []
    for day in (first + timedelta(days=place) for place in range(days)):
        row = by_day.get(day)
        daily.append(
            Day(day, 0, 0, Decimal(0), 0)
            if row is None
            else Day(day, row.jobs, row.calls, row.cost_usd, row.unknown_cost_calls)
        )
    return daily


def days_chart(days: Sequence[Day]) -> Chart | None:
    """The cost of each day."""
    return bars_by_name(
        [
            (
                f"{one.day:%b} {one.day.day}",
                float(one.cost_usd),
                f"{one.day.isoformat()}: {usd(one.cost_usd)}",
            )
            for one in days
        ],
        "first",
        ValueFormat("${:.4g}"),
    )


def sum_of(rows: Iterable[UsageRow]) -> Total:
    """The sum of the rows. Jobs are counted once for each row that has them."""
    usage = list(rows)
    return Total(
        sum(row.jobs for row in usage),
        sum(row.calls for row in usage),
        sum((row.cost_usd for row in usage), Decimal(0)),
        sum(row.unknown_cost_calls for row in usage),
        sum(row.usage.input_tokens or 0 for row in usage),
        sum(row.usage.output_tokens or 0 for row in usage),
    )


def budget_of(budget: Budget) -> ShownBudget:
    """A budget with its state. A hard one that is spent refuses jobs."""
    used = budget.spent_usd + budget.reserved_usd
    limit = budget.limit_usd
    if used >= limit:
        mark = Mark("✕", "spent", "bad") if budget.hard else Mark("!", "spent", "warn")
    elif used >= limit * NEARLY_SPENT:
        mark = Mark("!", "nearly spent", "warn")
    else:
        mark = Mark("✓", "within", "good")
    spent = _share(budget.spent_usd, limit)
    return ShownBudget(budget, spent, min(_share(budget.reserved_usd, limit), 100 - spent), mark)


def _share(part: Decimal, whole: Decimal) -> float:
    return 100.0 if whole <= 0 else round(min(100.0, float(100 * part / whole)), 2)
