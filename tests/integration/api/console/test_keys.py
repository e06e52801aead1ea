"""API keys and accounts in the console."""

import re
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_person
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]


def logged(rows: Connection) -> Any:
    return rows.execute("SELECT action, detail FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()


def test_an_administrator_makes_a_key_of_its_account_which_is_shown_once(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    browser = signed_in("admin")
    fields = {"name": "till", "scope:submit": "1", "days": "90"}
    answer = browser.post("/console/keys", fields)
    (key,) = re.findall(r"tl_[A-Za-z0-9_-]{43}", answer.text)
    assert api.as_(key).get("/v1/jobs").status_code == 403, "it may submit only"
    made = api.get("/v1/keys").json()["data"][0]
    assert (made["name"], made["scopes"], made["account"]) == ("till", ["submit"], "default")
    assert made["expires_at"] is not None
    page = browser.get("/console/keys")
    assert key not in page.text
    assert "till" in text_of(page)
    detail = {"key": made["id"], "account": "default", "scopes": "submit"}
    assert logged(rows) == ("key.created", detail)


def test_an_administrator_sees_and_changes_keys_of_its_account_alone(
    signed_in: SignIn, other: Api, rows: Connection
) -> None:
    theirs = create_key(rows, "other", name="not-yours").row["id"]
    operators = create_key(rows, "default", ("operator",), name="an operator's").row["id"]
    browser = signed_in("admin")
    page = browser.get("/console/keys").text
    assert "not-yours" not in page
    assert "/console/keys/accounts" not in page
    assert browser.post(f"/console/keys/{theirs}/revoke").status_code == 404
    assert browser.post(f"/console/keys/{operators}/rotate").status_code == 403
    assert browser.post("/console/keys", {"scope:operator": "1"}).status_code == 403
    given = {"account": "other", "scope:read": "1"}
    assert browser.post("/console/keys", given).status_code == 403


def test_a_key_is_rotated_and_revoked(signed_in: SignIn, api: Api, rows: Connection) -> None:
    browser = signed_in("operator")
    made = create_key(rows, "default", ("read",), name="old")
    answer = browser.post(f"/console/keys/{made.row['id']}/rotate")
    assert "tl_" in answer.text
    assert logged(rows) == ("key.rotated", {"key": made.row["id"]})
    assert "being replaced" in text_of(browser.get("/console/keys"))
    assert browser.post(f"/console/keys/{made.row['id']}/revoke").status_code == 303
    assert logged(rows) == ("key.revoked", {"key": made.row["id"]})
    assert api.as_(made.key).get("/v1/jobs").status_code == 401


def test_a_person_is_signed_out_by_an_administrator_of_their_account(
    signed_in: SignIn, other: Api, rows: Connection
) -> None:
    person, stranger = add_person(rows), add_person(rows, "other")
    browser = signed_in("admin")
    page = browser.get("/console/keys").text
    assert f"/console/keys/people/{person}/sign-out" in page
    assert f"/console/keys/people/{stranger}/sign-out" not in page
    assert browser.post(f"/console/keys/people/{stranger}/sign-out").status_code == 404
    assert browser.post(f"/console/keys/people/{person}/sign-out").status_code == 303
    assert logged(rows) == (
        "person.signed_out",
        {"person": person, "account": "default", "sessions": 1},
    )
    assert f"/console/keys/people/{person}/sign-out" not in browser.get("/console/keys").text


@pytest.mark.parametrize("key", ["x", "0", "9" * 18, "-1", "９"])
def test_an_unknown_key_is_not_found(signed_in: SignIn, key: str) -> None:
    assert signed_in("operator").post(f"/console/keys/{key}/revoke").status_code == 404


def test_an_operator_creates_and_changes_an_account(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    browser = signed_in("operator")
    rows.execute("DELETE FROM accounts WHERE name = 'billing'")
    assert browser.post("/console/keys/accounts", {"name": "billing"}).status_code == 303
    assert logged(rows) == ("account.created", {"name": "billing"})
    changes = {"name": "billing", "weight": "3", "max_queued_jobs": "50", "max_requests_per_s": ""}
    assert browser.post("/console/keys/accounts/change", changes).status_code == 303
    assert logged(rows) == ("account.changed", {"name": "billing"})
    account = {one["name"]: one for one in api.get("/v1/accounts").json()["data"]}["billing"]
    assert (account["weight"], account["max_queued_jobs"], account["max_requests_per_s"]) == (
        3,
        50,
        None,
    )
    assert browser.post("/console/keys/accounts", {"name": "billing"}).status_code == 409


@pytest.mark.parametrize(
    "fields", [{"weight": "0"}, {"weight": "1_0"}, {"weight": "９"}, {"max_queued_jobs": "-1"}]
)
def test_a_number_that_is_none_is_refused(signed_in: SignIn, fields: dict[str, str]) -> None:
    sent = {"name": "default", **fields}
    answer = signed_in("operator").post("/console/keys/accounts/change", sent)
    assert answer.status_code == 422
