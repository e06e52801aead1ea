"""How each page of the console looks: in light and dark, narrow and wide.

`make screenshots` runs this file and keeps a picture of each page.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.support.api.chromium import signed_in_page
from tests.support.database.furnished import Furnished

WIDTHS = (360, 768, 1280, 2560)  # CSS pixels
HEIGHT = 900
PICTURED = (360, 1280)
Place = Callable[[Furnished], str]
PLACES: dict[str, Place] = {
    "overview": lambda _: "/console",
    "jobs": lambda _: "/console/jobs",
    "jobs-none": lambda _: "/console/jobs?feature=nothing",
    "job": lambda f: f"/console/jobs/{f.escalated}",
    "job-failed": lambda f: f"/console/jobs/{f.failed}",
    "batches": lambda _: "/console/batches",
    "batch": lambda f: f"/console/batches/{f.batch}",
    "batch-new": lambda _: "/console/batches/new",
    "bulk-actions": lambda _: "/console/bulk-actions",
    "review": lambda _: "/console/review",
    "features": lambda _: "/console/features",
    "feature": lambda _: "/console/features/invoice-fields",
    "version": lambda _: "/console/features/invoice-fields/versions/2",
    "evidence": lambda _: "/console/features/invoice-fields/evidence",
    "evidence-none": lambda _: "/console/features/ticket-triage/evidence",
    "evaluation": lambda f: f"/console/features/invoice-fields/evaluations/{f.evaluation}",
    "money": lambda _: "/console/money",
    "money-accounts": lambda _: "/console/money/accounts",
    "prices": lambda _: "/console/money/prices",
    "economics": lambda _: (
        "/console/money/economics?feature=invoice-fields&requests_per_day=20000&peak_per_s=3"
        "&input_tokens=420&output_tokens=60&escalation_rate=0.2"
    ),
    "providers": lambda _: "/console/providers",
    "webhooks": lambda _: "/console/webhooks",
    "webhook": lambda f: f"/console/webhooks/{f.endpoint}",
    "keys": lambda _: "/console/keys",
    "audit": lambda _: "/console/audit",
    "error": lambda _: "/console/nothing",
}
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_reads_in_light_and_dark_at_every_width(
    browser: Browser,
    api_url: str,
    key: str,
    furnished: Furnished,
    screenshots: Path | None,
    theme: Literal["light", "dark"],
) -> None:
    """axe finds nothing, and nothing scrolls sideways. Only contrast differs in dark."""
    found = []
    dark = theme == "dark"
    with signed_in_page(browser, api_url, key, dark=dark) as page:
        for name, place in PLACES.items():
            page.goto(place(furnished))
            found += [f"{name} {theme}: {one}" for one in _violations(page, contrast_only=dark)]
            if not dark or screenshots is not None:
                found += _look(page, name, screenshots, dark=dark)
    assert not found, "\n".join(found)


def test_the_sign_in_page_reads(browser: Browser, api_url: str, screenshots: Path | None) -> None:
    for dark in (False, True):
        context = browser.new_context(base_url=api_url, color_scheme=_theme(dark))
        page = context.new_page()
        page.goto("/console/sign-in")
        assert _violations(page) == []
        assert _look(page, "sign-in", screenshots, dark=dark) == []
        context.close()


def _look(page: Page, name: str, screenshots: Path | None, *, dark: bool) -> list[str]:
    """What scrolls sideways. Pictures are taken on the way."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        beyond = page.evaluate(SIDEWAYS)
        if beyond > 0:
            found.append(f"{name} at {width} px scrolls {beyond} px sideways")
        if screenshots is not None and width in PICTURED:
            path = screenshots / f"{name}-{width}-{_theme(dark)}.png"
            page.screenshot(path=path, full_page=True)
    return found


def _violations(page: Page, *, contrast_only: bool = False) -> list[str]:
    """What axe finds, with the places."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if contrast_only:
        options["runOnly"] = ["color-contrast"]
    result = Axe().run(page, options=options)
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:4]}"
        for one in result.response["violations"]
    ]


def _theme(dark: bool) -> Literal["dark", "light"]:
    return "dark" if dark else "light"


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """The folder for pictures; None: none are taken."""
    given = request.config.getoption("--screenshots")
    if given is None:
        return None
    folder = Path(given)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
