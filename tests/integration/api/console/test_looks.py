"""How each page of the console looks: in light and dark, narrow and wide.

`make screenshots` runs this file and keeps a picture of each page.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.api.axe import contrast, violations
from tests.support.api.chromium import signed_in_page
from tests.support.api.looks import look
from tests.support.database.furnished import Furnished

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


@pytest.mark.timeout(900)
def test_every_page_reads_in_light_and_dark_at_every_width(
    browser: Browser, api_url: str, key: str, furnished: Furnished, screenshots: Path | None
) -> None:
    """axe finds nothing, and nothing scrolls sideways. In dark only contrast may differ, so that
    each page is loaded once.
    """
    problems = []
    with signed_in_page(browser, api_url, key) as page:
        for name, place in PLACES.items():
            page.goto(place(furnished))
            problems += [f"{name} light: {one}" for one in violations(page)]
            problems += look(page, name, screenshots, "light")
            page.emulate_media(color_scheme="dark")
            problems += [f"{name} dark: {one}" for one in contrast(page)]
            if screenshots is not None:
                look(page, name, screenshots, "dark")
            page.emulate_media(color_scheme="light")
    assert not problems, "\n".join(problems)


def test_the_sign_in_page_reads(browser: Browser, api_url: str, screenshots: Path | None) -> None:
    context = browser.new_context(base_url=api_url)
    page = context.new_page()
    page.goto("/console/sign-in")
    assert violations(page) == []
    assert look(page, "sign-in", screenshots, "light") == []
    page.emulate_media(color_scheme="dark")
    assert contrast(page) == []
    context.close()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """The folder for pictures; None: none are taken."""
    given = request.config.getoption("--screenshots")
    if given is None:
        return None
    folder = Path(given)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
