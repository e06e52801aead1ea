"""The first page of the console."""

from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, of_a_later_release, two_tiers
from tierline.services.money.budgets import set_budget

Connection = psycopg.Connection[Any]


def test_an_operator_sees_each_features_figures_and_its_next_step(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    end_job(rows, str(api.submit()["id"]))
    text = text_of(signed_in("operator").get("/console"))
    assert "echo v1" in text
    assert "● slm 1 100%" in text
    assert "Next step tierline " in text
    assert api.get("/v1/features/echo/status").json()["next"] in text


@pytest.mark.parametrize("scopes", [("read",), ("submit", "read"), ("admin",)])
def test_others_see_their_accounts_usage_and_no_figures_of_all_accounts(
    signed_in: SignIn, api: Api, rows: Connection, scopes: tuple[str, ...]
) -> None:
    end_job(rows, str(api.submit()["id"]))
    text = text_of(signed_in(*scopes).get("/console"))
    assert "all accounts" not in text
    assert "Next step" not in text
    assert "Usage of default" in text
    assert "echo slm" in text


def test_the_queues_are_shown_as_the_api_counts_them(signed_in: SignIn, other: Api) -> None:
    other.submit()
    waiting = {one["queue"]: one["waiting"] for one in other.get("/v1/queues").json()["data"]}
    text = text_of(signed_in("read").get("/console"))
    assert f"slm {waiting['slm']:,} 0 0 0 0" in text


def test_what_is_wrong_stands_on_top(signed_in: SignIn, rows: Connection) -> None:
    text = text_of(signed_in("read").get("/console"))
    assert "queue:slm, queue:webhooks : no live worker serves it" in text
    assert text.index("no live worker") < text.index("Queues")


def test_budgets_are_shown_to_administrators_of_their_account_alone(
    signed_in: SignIn, other: Api, rows: Connection
) -> None:
    for account in ("default", "other"):
        set_budget(
            rows,
            account=account,
            scope="account",
            key="",
            period="month",
            limit_usd="1",
            hard=False,
        )
    rows.execute("UPDATE budgets SET limit_usd = 0")
    assert "budget of" not in text_of(signed_in("read").get("/console"))
    own = text_of(signed_in("admin").get("/console"))
    assert "budget of default" in own
    assert "budget of other" not in own
    assert "budget of other" in text_of(signed_in("operator").get("/console"))


def test_a_feature_of_a_later_release_does_not_hide_the_others(
    signed_in: SignIn, rows: Connection
) -> None:
    of_a_later_release(rows, add_feature(rows, two_tiers("later")))
    text = text_of(signed_in("operator").get("/console"))
    assert "✕ later :" in text
    assert "echo v1" in text
