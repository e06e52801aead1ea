"""Stories of people at the console, walked by a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.api.chromium import WAIT_MS, signed_in_page
from tests.support.api.served import Api
from tests.support.database.furnished import Furnished

expect.set_options(timeout=WAIT_MS)


@pytest.fixture
def page(browser: Browser, api_url: str, key: str) -> Iterator[Page]:
    """The first page, after signing in."""
    with signed_in_page(browser, api_url, key) as opened:
        yield opened


def test_yesterdays_failed_job_is_found_and_retried(
    page: Page, furnished: Furnished, api: Api
) -> None:
    page.get_by_label("Pages").get_by_role("link", name="Jobs").click()
    page.get_by_label("Status").select_option("failed")
    page.get_by_label("Feature").fill("invoice-fields")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=furnished.failed).click()
    expect(page.get_by_text("checks failed: the output has no total")).to_be_visible()
    page.get_by_role("button", name="Retry", exact=True).click()
    page.wait_for_url(lambda url: furnished.failed not in url)
    again = page.url.rpartition("/")[2]
    assert api.get(f"/v1/jobs/{again}").json()["status"] == "queued"
    expect(page.get_by_text("No attempt has begun.")).to_be_visible()


def test_a_runaway_batch_is_stopped(page: Page, furnished: Furnished, api: Api) -> None:
    page.get_by_label("Pages").get_by_role("link", name="Batches").click()
    page.get_by_role("link", name=furnished.batch).click()
    page.get_by_text("Cancel…").click()
    page.get_by_role("button", name="Cancel the batch").click()
    expect(page.locator("h1 + .mark")).to_contain_text("cancelled")
    assert api.get(f"/v1/batches/{furnished.batch}").json()["counts"]["queued"] == 0


def test_it_is_seen_that_a_providers_key_is_refused(page: Page, furnished: Furnished) -> None:
    expect(page.get_by_label("What is wrong now")).to_contain_text("anthropic:large")
    page.get_by_label("Pages").get_by_role("link", name="Providers").click()
    held = page.locator("article", has_text="anthropic:large")
    expect(held).to_contain_text("401: invalid x-api-key")
    expect(held).to_contain_text("Set a valid one where the workers run")
    expect(held).to_contain_text("Next probein 50 min")
    held.get_by_role("button", name="Probe now").click()
    expect(page.locator("article", has_text="anthropic:large")).to_contain_text("with the next job")


def test_the_navigation_is_walked_with_the_keyboard_alone(page: Page, furnished: Furnished) -> None:
    def focused() -> str:
        text: str = page.evaluate("document.activeElement.textContent.trim()")
        return text

    page.keyboard.press("Tab")
    assert focused() == "Skip to the content"
    names = [
        link.inner_text().strip() for link in page.get_by_label("Pages").get_by_role("link").all()
    ]
    page.keyboard.press("Tab")
    assert focused() == "tierline"
    for name in names:
        page.keyboard.press("Tab")
        assert focused() == name
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"nobody sees that {name} has the focus"
    for _ in range(len(names) - names.index("Jobs") - 1):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/jobs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
