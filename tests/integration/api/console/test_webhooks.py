"""Webhook endpoints and their deliveries in the console."""

import re
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import Browser, SignIn, text_of
from tests.support.api.served import Api
from tierline.base.ids import new_id

Connection = psycopg.Connection[Any]
URL = "https://hooks.example.com/jobs?token=hidden-token"


@pytest.fixture
def endpoint(signed_in: SignIn, api: Api) -> str:
    """An endpoint of the account, added over the API."""
    made = api.post("/v1/webhook-endpoints", json={"url": URL})
    assert made.status_code == 201, made.text
    id: str = made.json()["id"]
    return id


@pytest.fixture(autouse=True)
def none_left(rows: Connection) -> None:
    rows.execute("DELETE FROM deliveries")
    rows.execute("DELETE FROM webhook_endpoints")


def logged(rows: Connection) -> str:
    row = rows.execute("SELECT action FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


def delivery_of(browser: Browser, endpoint: str) -> str:
    browser.post(f"/console/webhooks/{endpoint}/test")
    deliveries = browser.get(f"/console/webhooks/{endpoint}").text
    assert "endpoint.test" in deliveries
    return deliveries


def test_an_endpoint_is_added_and_its_secret_shown_once(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    assert "No endpoint is registered" in text_of(browser.get("/console/webhooks"))
    fields = {"url": URL, "description": "till", "event:job.failed": "1", "include:output": "1"}
    answer = browser.post("/console/webhooks", fields)
    assert answer.status_code == 200
    assert "whsec_" in answer.text
    (made,) = api.get("/v1/webhook-endpoints").json()["data"]
    assert (made["events"], made["include"]) == (["job.failed"], ["output"])
    for path in ("", f"/{made['id']}"):
        page = browser.get(f"/console/webhooks{path}")
        assert "hooks.example.com" in page.text
        assert "whsec_" not in page.text
        assert "hidden-token" not in page.text
    assert logged(rows) == "webhook.added"
    detail = rows.execute("SELECT detail FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()
    assert detail == ({"host": "hooks.example.com"},)


def test_an_address_that_webhooks_may_not_reach_is_refused_on_a_page(signed_in: SignIn) -> None:
    answer = signed_in("submit", "read").post("/console/webhooks", {"url": "http://127.0.0.1/"})
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]
    assert "<strong>url</strong>" in answer.text, "the field's name, not a JSON pointer"


def test_a_test_event_is_sent_and_resent(
    signed_in: SignIn, endpoint: str, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    page = delivery_of(browser, endpoint)
    assert logged(rows) == "webhook.tested"
    assert "/resend" not in page, "it is pending"
    rows.execute("UPDATE deliveries SET status = 'failed', ended_at = now(), tries = 3")
    page = browser.get(f"/console/webhooks/{endpoint}").text
    (action,) = re.findall(r'action="(/console/webhooks/deliveries/[^"]+/resend)"', page)
    answer = browser.post(action, {"back": "endpoint"})
    assert answer.headers["location"] == f"/console/webhooks/{endpoint}"
    assert logged(rows) == "webhook.resent"
    assert "pending" in text_of(browser.get("/console/webhooks?status=pending"))
    assert "No delivery matches" in text_of(browser.get("/console/webhooks?status=failed"))


def test_a_secret_is_rotated_and_an_endpoint_disabled_enabled_and_removed(
    signed_in: SignIn, endpoint: str, rows: Connection, api: Api
) -> None:
    browser = signed_in("submit", "read")
    assert "whsec_" in browser.post(f"/console/webhooks/{endpoint}/rotate").text
    assert "Former secret signs until" in text_of(browser.get(f"/console/webhooks/{endpoint}"))
    for to, action in (("disabled", "webhook.disabled"), ("enabled", "webhook.enabled")):
        browser.post(f"/console/webhooks/{endpoint}/switch", {"to": to})
        shown = api.get(f"/v1/webhook-endpoints/{endpoint}").json()
        assert shown["disabled"] is (to == "disabled")
        assert logged(rows) == action
    assert browser.post(f"/console/webhooks/{endpoint}/remove").status_code == 303
    assert api.get(f"/v1/webhook-endpoints/{endpoint}").status_code == 404
    assert logged(rows) == "webhook.removed"


def test_another_accounts_endpoint_is_not_found(
    signed_in: SignIn, other: Api, rows: Connection
) -> None:
    theirs = other.post("/v1/webhook-endpoints", json={"url": URL}).json()["id"]
    browser = signed_in("operator")
    assert browser.get(f"/console/webhooks/{theirs}").status_code == 404
    for action in ("test", "rotate", "switch", "remove"):
        assert browser.post(f"/console/webhooks/{theirs}/{action}").status_code == 404
    resend = browser.post(f"/console/webhooks/deliveries/{new_id()}/resend")
    assert resend.status_code == 404
    assert theirs not in browser.get("/console/webhooks").text


def test_a_key_that_may_only_read_has_no_buttons(signed_in: SignIn, endpoint: str) -> None:
    page = signed_in("read").get(f"/console/webhooks/{endpoint}")
    assert f"/console/webhooks/{endpoint}/" not in page.text
