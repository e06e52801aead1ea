"""Usage per day, sums, and the state of a budget."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from api.console.views.money import budget_of, days_chart, per_day, sum_of
from tierline.views.money.budgets import Budget
from tierline.views.reports.installation import UsageRow

TIME = datetime(2026, 3, 1, tzinfo=UTC)


def row(cost: str, **more: Any) -> UsageRow:
    return UsageRow.model_validate(
        {
            **{"jobs": 1, "calls": 2, "cost_usd": Decimal(cost), "unknown_cost_calls": 0},
            "usage": {
                **{"input_tokens": 10, "output_tokens": 5, "cached_input_tokens": 0},
                **dict.fromkeys(
                    ("cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens"), 0
                ),
            },
            **{"model_s": 0.5, **more},
        }
    )


def test_each_day_has_a_row_also_one_without_usage() -> None:
    days = per_day([row("0.5", day=date(2026, 3, 2))], date(2026, 3, 1), 3)
    assert [(one.day.day, one.cost_usd) for one in days] == [
        (1, Decimal(0)),
        (2, Decimal("0.5")),
        (3, Decimal(0)),
    ]
    chart = days_chart(days)
    assert chart is not None
    assert chart.bars[1].title == "2026-03-02: $0.500"
    assert days_chart(per_day([], date(2026, 3, 1), 3)) is None


def test_rows_are_summed() -> None:
    total = sum_of([row("0.5"), row("0.25", unknown_cost_calls=3)])
    assert (total.cost_usd, total.calls, total.unknown_cost_calls) == (Decimal("0.75"), 4, 3)
    assert total.input_tokens == 20


@pytest.mark.parametrize(
    ("spent", "reserved", "hard", "word", "tone"),
    [
        ("1", "0", True, "within", "good"),
        ("7", "1", True, "nearly spent", "warn"),
        ("9", "2", True, "spent", "bad"),
        ("10", "0", False, "spent", "warn"),
    ],
)
def test_a_budgets_state_says_what_it_does(
    spent: str, reserved: str, hard: bool, word: str, tone: str
) -> None:
    shown = budget_of(
        Budget.model_validate(
            {
                **{"id": 1, "account": "a", "scope": "account", "key": "", "period": "month"},
                **{"limit_usd": Decimal(10), "hard": hard, "plan": None},
                **{"spent_usd": Decimal(spent), "reserved_usd": Decimal(reserved)},
                **{"resets_at": TIME, "created_at": TIME},
            }
        )
    )
    assert (shown.mark.word, shown.mark.tone) == (word, tone)
    assert shown.spent + shown.reserved <= 100
