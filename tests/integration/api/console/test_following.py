"""Pages that look again by themselves, in a real browser: axe finds nothing on them."""

from typing import Any
from uuid import UUID

import psycopg
from fastapi import Request
from playwright.sync_api import Browser, Route, expect

from api.console.pages import HEADERS, RETRY_S, page
from tests.support.api.axe import violations
from tests.support.api.chromium import WAIT_MS, signed_in_page
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tierline.base.ids import new_id
from tierline.services.operations.bulk_steps import step_bulk_action

Connection = psycopg.Connection[Any]
expect.set_options(timeout=WAIT_MS)


def test_the_page_of_a_bulk_action_follows_it(
    browser: Browser, api: Api, api_url: str, key: str, rows: Connection
) -> None:
    rows.execute("UPDATE bulk_actions SET status = 'completed' WHERE status = 'running'")
    feature = f"bulk-{new_id().hex}"
    add_feature(rows, two_tiers(feature))
    api.submit("waits", feature=feature)
    made = api.post("/v1/bulk-actions", json={"action": "cancel", "filter": {"feature": feature}})
    with signed_in_page(browser, api_url, key) as shown:
        shown.goto(f"/console/bulk-actions/{made.json()['id']}")
        expect(shown.locator("h1 + .mark")).to_contain_text("running")
        expect(shown.get_by_role("link", name="Look again")).to_be_visible()
        assert violations(shown) == []
        step_bulk_action(rows, UUID(made.json()["id"]))
        expect(shown.locator("h1 + .mark")).to_contain_text("completed")
        expect(shown.get_by_text("Look again")).to_have_count(0)


def test_a_page_comes_back_when_the_service_does(browser: Browser, api_url: str, key: str) -> None:
    request = Request({"type": "http", "method": "GET", "path": "/console/x", "headers": []})
    texts = {
        "title": "Unavailable",
        "detail": "the database is away",
        "problems": (),
        "retry_s": RETRY_S,
    }
    body = bytes(page(request, "error.html", 503, **texts).body)
    away = True

    def answer(route: Route) -> None:
        if away:
            headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8"}
            route.fulfill(status=503, headers=headers, body=body)
        else:
            route.continue_()

    with signed_in_page(browser, api_url, key) as shown:
        shown.route("**/console/features", answer)
        shown.goto("/console/features")
        expect(shown.get_by_role("heading", name="Unavailable")).to_be_visible()
        assert violations(shown) == []
        away = False
        expect(shown.get_by_role("heading", name="Features")).to_be_visible()
