"""The system's Chromium, driven by Playwright. Nothing is downloaded, and nothing but the API that
a test starts is called."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 60_000  # for anything that a page does
ARGUMENTS = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium_path() -> str:
    """Where Chromium is. Fails the test with what to do if it is missing."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.fail("these tests need Chromium: apt-get install chromium (.ci/run does it)")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=list(ARGUMENTS), timeout=WAIT_MS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def signed_in_page(browser: Browser, url: str, key: str, *, dark: bool = False) -> Iterator[Page]:
    """A page of a person who has signed in with that key."""
    context = browser.new_context(
        base_url=url, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    try:
        page.goto("/console/sign-in")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console")
        yield page
    finally:
        context.close()
