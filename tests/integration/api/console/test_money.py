"""Usage, budgets, prices and economics in the console."""

from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tierline.services.money.budgets import set_budget

Connection = psycopg.Connection[Any]
MONEY = "/console/money"


@pytest.fixture(scope="module", autouse=True)
def used(api: Api, rows: Connection) -> None:
    """One job of the account, which cost $0.000125."""
    end_job(rows, str(api.submit()["id"]))


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("feature", "echo 1 1 10 5 $0.000125 100%"),
        ("model", "openai:small"),
        ("day", "20"),
        ("user", "– 1 1 10 5 $0.000125 100%"),
    ],
)
def test_usage_is_grouped_and_has_a_chart_with_a_table(
    signed_in: SignIn, by: str, said: str
) -> None:
    page = signed_in("read").get(f"{MONEY}?by={by}&days=7")
    assert said in text_of(page).partition(f"By {by} ")[2]
    assert '<svg class="chart"' in page.text
    assert "The values as a table" in text_of(page)


@pytest.mark.parametrize("query", ["by=users", "days=8", "days=x"])
def test_what_cannot_be_shown_is_refused(signed_in: SignIn, query: str) -> None:
    assert signed_in("read").get(f"{MONEY}?{query}").status_code == 422


def test_calls_of_unknown_cost_are_told(signed_in: SignIn, rows: Connection, other: Api) -> None:
    job = str(other.submit()["id"])
    end_job(rows, job)
    rows.execute("UPDATE calls SET cost_usd = NULL WHERE job_id = %s", (job,))
    text = text_of(signed_in("read", account="other").get(MONEY))
    assert "1 call of unknown cost is not in these sums" in text


def test_another_accounts_usage_is_an_operators(signed_in: SignIn, other: Api) -> None:
    assert "Cost of default" in text_of(signed_in("admin").get(f"{MONEY}?account=other"))
    operator = signed_in("operator")
    assert "Cost of other" in text_of(operator.get(f"{MONEY}?account=other"))
    assert operator.get(f"{MONEY}?account=nobody").status_code == 404
    assert "other" in text_of(operator.get(f"{MONEY}/accounts"))


def test_budgets_are_shown_with_what_is_spent_to_administrators(
    signed_in: SignIn, rows: Connection
) -> None:
    set_budget(
        rows,
        account="default",
        scope="account",
        key="",
        period="month",
        limit_usd="50",
        hard=True,
    )
    assert "month, hard" in text_of(signed_in("admin").get(MONEY))
    assert "$50.00" in text_of(signed_in("admin").get(MONEY))
    assert "Budgets of" not in text_of(signed_in("read").get(MONEY))


def test_prices_in_force_are_shown_with_the_operators_own(signed_in: SignIn, api: Api) -> None:
    price = {"input_usd_per_mtok": "0.11", "output_usd_per_mtok": "0.44"}
    given = {"model": "openai:small", "price": price, "note": "our contract"}
    assert api.post("/v1/prices", json=given).status_code == 201
    text = text_of(signed_in("read").get(f"{MONEY}/prices"))
    assert "openai:small" in text
    assert "our contract" in text
    assert "0.44" in text


def test_economics_answers_for_a_volume(signed_in: SignIn) -> None:
    browser = signed_in("operator")
    assert "Give requests a day" in text_of(browser.get(f"{MONEY}/economics?feature=echo"))
    query = "feature=echo&requests_per_day=1000&peak_per_s=2&escalation_rate=0.2"
    page = browser.get(f"{MONEY}/economics?{query}&input_tokens=&output_tokens=")
    assert page.status_code == 200
    assert "Measured 30 days" in text_of(page) or "note warn" in page.text
    for wrong in ("requests_per_day=x", "requests_per_day=1_0", "peak_per_s=2"):
        assert browser.get(f"{MONEY}/economics?feature=echo&{wrong}").status_code == 422
    assert browser.get(f"{MONEY}/economics?feature=nothing").status_code == 404
