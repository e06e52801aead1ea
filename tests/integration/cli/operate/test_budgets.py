"""`tierline budgets` against a real API, and what a spent hard one does to submissions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.samples.amounts import AMOUNT
from tests.support.waiting import DEADLINE_S, wait_until


@pytest.fixture(autouse=True)
def rows(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
        connection.execute("TRUNCATE reservations, budget_periods, budgets")


def test_budgets_are_set_changed_listed_and_removed(tierline: Tierline) -> None:
    assert tierline("budgets", "list").out.startswith("no budget")
    made = tierline("budgets", "set", "50", "--per", "month")
    assert made.code == 0, made.err
    assert "of default: $50.00 a month" in made.out
    tierline("budgets", "set", "0.2", "--per", "day", "--user", "each")
    tierline("budgets", "set", "5", "--per", "day", "--user", "night-import", "--hard")
    tierline("budgets", "set", "60", "--per", "month")
    budgets = json.loads(tierline("budgets", "list", "--json").out)["data"]
    assert [(one["scope"], one["key"], one["limit_usd"], one["hard"]) for one in budgets] == [
        ("account", "", "60", False),
        ("user", "", "0.2", False),
        ("user", "night-import", "5", True),
    ]
    shown = tierline("budgets", "list").out
    assert "user night-import" in shown
    assert "refuses" in shown
    removed = tierline("budgets", "remove", budgets[0]["id"], "--json")
    assert json.loads(removed.out) == {"id": budgets[0]["id"], "removed": True}
    assert len(json.loads(tierline("budgets", "list", "--json").out)["data"]) == 2


def test_a_budget_below_the_worst_case_of_a_tier_is_set_with_a_warning(
    tierline: Tierline, tmp_path: Path
) -> None:
    file = tmp_path / "amounts.yaml"
    file.write_text(AMOUNT)
    assert tierline("features", "apply", file).code == 0
    made = tierline("budgets", "set", "0.0000001", "--per", "day")
    assert made.code == 0
    warning = "warning: does not fit amounts, tier frontier: one call may cost up to "
    assert warning in made.err
    assert "tier slm" not in made.err  # a soft budget does not refuse the first tier
    hard = tierline("budgets", "set", "0.0000001", "--per", "day", "--hard", "--json")
    assert any("amounts, tier slm" in one for one in json.loads(hard.out)["warnings"])
    assert tierline("budgets", "set", "1000", "--per", "day").err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-5", "--per", "day"), 2, "No such option"),
        (("--per", "day", "--", "-5"), 2, "'-5' is not an amount in USD"),
        (("5EUR", "--per", "day"), 2, "'5EUR' is not an amount in USD"),
        (("5", "--per", "week"), 2, "--per must be day or month, not 'week'"),
        (("5", "--per", "day", "--user", "a", "--session", "b"), 2, "not both"),
        (("5", "--per", "day", "--account", "nobody"), 1, "there is no account 'nobody'"),
    ],
)
def test_what_cannot_be_set(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("budgets", "set", *arguments)
    assert message in ran.err
    assert ran.code == code


def test_what_is_not_there_cannot_be_removed(tierline: Tierline) -> None:
    ran = tierline("budgets", "remove", 999)
    assert (ran.code, ran.err) == (1, "tierline: there is no budget 999\n")


def test_a_spent_hard_budget_refuses_submissions_until_it_resets(
    tierline: Tierline, api: dict[str, str], feature: str, rows: psycopg.Connection[Any]
) -> None:
    found: list[httpx.Response] = []
    body = {"feature": feature, "input": {"text": "x"}, "user": "acme"}

    def post(path: str, body: object = None, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {api['TIERLINE_API_KEY']}"}
        url = f"{api['TIERLINE_URL']}{path}"
        return httpx.post(url, headers=bearer | headers, json=body, trust_env=False)

    first = post("/v1/jobs", body, **{"Idempotency-Key": "before"}).json()["id"]
    made = tierline("budgets", "set", "1", "--per", "day", "--hard", "--user", "acme", "--json")
    rows.execute(
        "INSERT INTO budget_periods (budget_id, key, starts_on, spent_usd)"
        " VALUES (%s, 'acme', (statement_timestamp() AT TIME ZONE 'UTC')::date, 1)",
        (json.loads(made.out)["id"],),
    )

    def refused() -> bool:  # a key is remembered for a second
        found.append(post("/v1/jobs", body))
        return found[-1].status_code == 429

    wait_until(refused, DEADLINE_S, "the submission to be refused")
    answer = found[-1]
    problem = answer.json()
    assert problem["type"] == "urn:tierline:problem:budget-spent"
    assert "the user's budget of 1 USD a day" in problem["detail"]
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    known = post("/v1/jobs", body, **{"Idempotency-Key": "before"})
    assert known.json()["id"] == first  # it was taken before, and is told as ever
    rows.execute("UPDATE jobs SET status = 'failed' WHERE id = %s", (first,))
    assert post(f"/v1/jobs/{first}/retry").status_code == 429
    other = tierline("jobs", "submit", feature, "--input", '{"text": "x"}')
    assert other.code == 0, other.err
