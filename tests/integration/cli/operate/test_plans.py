"""`tierline plans` against a real API."""

import json

import pytest

from tests.support.cli import Tierline


def test_plans_are_set_listed_and_assigned(tierline: Tierline) -> None:
    assert tierline("plans", "list").out.startswith("no plan yet")
    made = tierline("plans", "set", "free", "--first-tier-only", "--budget", "1/day/hard")
    assert made.code == 0, made.err
    assert made.out == "plan free: the first tier only, $1.00 a day, hard\n"
    tierline("plans", "set", "premium", "--budget", "50/month", "--budget", "user:0.50/day")
    assert tierline("plans", "assign", "premium", "--account", "default").code == 0
    plans = json.loads(tierline("plans", "list", "--json").out)["data"]
    assert [(one["name"], one["accounts"]) for one in plans] == [("free", 0), ("premium", 1)]
    budgets = json.loads(tierline("budgets", "list", "--json").out)["data"]
    assert [(one["scope"], one["plan"]) for one in budgets] == [
        ("account", "premium"),
        ("user", "premium"),
    ]
    shown = tierline("plans", "list").out
    assert "each user" in shown
    tierline("plans", "assign", "none", "--account", "default")
    assert json.loads(tierline("budgets", "list", "--json").out)["data"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("assign", "gold", "--account", "default"), 2, "there is no plan 'gold'"),
        (("assign", "none", "--account", "nobody"), 1, "there is no account 'nobody'"),
        (("set", "Gold"), 2, "/name"),
        (("set", "gold", "--budget", "5"), 2, "write it as"),
        (("set", "gold", "--budget", "-5/day"), 2, "'-5' is not an amount in USD"),
        (("set", "gold", "--budget", "5EUR/day"), 2, "'5EUR' is not an amount in USD"),
        (("set", "gold", "--budget", "1/day", "--budget", "2/day"), 2, "another budget"),
    ],
)
def test_what_cannot_be_done(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("plans", *arguments)
    assert message in ran.err
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1
