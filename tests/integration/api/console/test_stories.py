"""Stories of people at the console, walked by a real browser."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.api.axe import violations
from tests.support.api.chromium import WAIT_MS, signed_in_page
from tests.support.api.served import Api
from tests.support.database.furnished import Furnished
from tests.support.database.rows import add_evaluation, add_feature, end_job, two_tiers
from tierline.base.ids import new_id
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.evaluation.evaluation_validity import recipe_alone
from tierline.services.features.apply_feature import apply_feature
from tierline.services.features.find_feature import current_feature

Connection = psycopg.Connection[Any]
expect.set_options(timeout=WAIT_MS)

LABELS = 20
PROTOTYPE = """
feature: {name}
instructions: Name the kind.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: string, enum: [a, b]}}
routing: frontier_first
shadow: {{share: 0.5}}
cases:
  - {{name: first, input: {{text: an a}}, expected: a}}
tiers:
  - {{name: slm, models: ["openai:small"]}}
  - {{name: frontier, models: ["openai:large"]}}
"""
# Resolves with the browser's clock, in ms, when the job's mark says so.
WHEN_CANCELLED = """() => { window.seen = new Promise((tell) => {
  const look = () => document.getElementById("live").textContent.includes("cancelled")
    ? tell(performance.timeOrigin + performance.now()) : requestAnimationFrame(look);
  look();
}); }"""


@pytest.fixture(scope="module")
def signed_in_tab(browser: Browser, api_url: str, key: str) -> Iterator[Page]:
    """A tab of a person who has signed in."""
    with signed_in_page(browser, api_url, key) as opened:
        yield opened


@pytest.fixture
def page(signed_in_tab: Page, furnished: Furnished) -> Page:
    """The first page, as it is after signing in."""
    signed_in_tab.goto("/console")
    return signed_in_tab


def test_yesterdays_failed_job_is_found_and_retried(
    page: Page, furnished: Furnished, api: Api, rows: Connection
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

    page.evaluate(WHEN_CANCELLED)
    api.post(f"/v1/jobs/{again}/cancel")
    seen_ms = page.evaluate("window.seen")
    row = rows.execute(
        "SELECT extract(epoch FROM completed_at)::float * 1000 FROM jobs WHERE id = %s", (again,)
    ).fetchone()
    assert row is not None
    print(f"a job's change was seen after {seen_ms - row[0]:.0f} ms")


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


def test_twenty_answers_are_labelled_by_the_keyboard_alone(
    page: Page, api: Api, rows: Connection
) -> None:
    name = f"labels-{new_id().hex}"
    add_feature(rows, two_tiers(name))
    jobs = [str(api.submit(f"text {number}", feature=name)["id"]) for number in range(LABELS)]
    for job in jobs:
        end_job(rows, job)
    page.goto(f"/console/review?feature={name}")
    page.get_by_label("For two people, %").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(f"{LABELS} of {LABELS} labels that are wanted are for you")
    ).to_be_visible()
    page.get_by_role("button", name="Start labelling").focus()
    page.keyboard.press("Enter")
    for number in range(LABELS):
        expect(page.get_by_text(f"{LABELS - number} left for you")).to_be_visible()
        page.keyboard.press("w" if number % 4 == 0 else "r")
    expect(page.get_by_text("No more answers are waiting")).to_be_visible()
    labels = rows.execute(
        "SELECT correct, count(*) FROM feedback WHERE job_id = ANY(%s::uuid[])"
        " GROUP BY correct ORDER BY correct",
        (jobs,),
    ).fetchall()
    assert labels == [(False, LABELS // 4), (True, LABELS - LABELS // 4)]


def test_a_feature_comes_from_prototype_to_promoted(page: Page, api: Api, rows: Connection) -> None:
    name = f"a-kinds-{new_id().hex}"  # the first ones of the overview
    apply_feature(rows, PROTOTYPE.format(name=name))
    page.get_by_label("Pages").get_by_role("link", name="Features").click()
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Try it").click()
    page.wait_for_url("**/console/jobs/*")
    assert api.get(f"/v1/jobs/{page.url.rpartition('/')[2]}").json()["tier"] == "frontier"

    _evaluated(rows, name)
    page.get_by_label("Pages").get_by_role("link", name="Overview").click()
    page.get_by_role("link", name=f"Promote {name}").click()
    page.get_by_label("Promote the first tier for").fill("10")
    page.get_by_role("button", name="See what would change").click()
    expect(page.get_by_text("it keeps 97%")).to_be_visible()
    assert violations(page) == []
    expect(page.get_by_text('{"share": 0.1, "tier": "slm"}')).to_be_visible()
    page.get_by_role("button", name="Promote it").click()
    promotion = page.get_by_label("The promotion in force")
    expect(promotion).to_contain_text("slm answers 10% of the jobs")
    (row,) = api.get(f"/v1/features/{name}/promotions").json()["data"]
    assert (row["share"], row["ended_at"]) == (0.1, None)

    page.get_by_text("Let the last tier answer again").click()
    page.get_by_label("Why?").fill("a partner's new form")
    page.get_by_role("button", name="End the promotion").click()
    expect(promotion).to_have_count(0)
    (row,) = api.get(f"/v1/features/{name}/promotions").json()["data"]
    assert row["ended_reason"] == "a partner's new form"


def _evaluated(rows: Connection, name: str) -> None:
    """A completed evaluation that is in favour of the first tier."""
    number = add_evaluation(rows, name)
    feature = current_feature(rows, name)
    planned = [
        {
            **{"tier": tier.name, "draft_id": 0, "recipe": recipe_alone(feature, tier.name)},
            "models": [str(model) for model in tier.models],
        }
        for tier in feature.tiers
    ]
    plan = {"tiers": planned, "limit": None, "numbers": [], "left_out": {}}
    figures = {"right": 95, "quality": 0.95, "interval": [0.9, 0.98], "cost_usd": "0"}
    compared = {
        **{"tier": "slm", "with": "frontier", "ratio": 1.0, "interval": [0.92, 1.02]},
        **{"verdict": "ship", "reason": "it keeps 97%", "more_examples": None},
        **{"differ_at_most": 0.05, "rows": []},
    }
    result = {
        "examples": 100,
        "tiers": [
            {**figures, "tier": tier.name, "models": ["m-1"], "unanswered": 0}
            for tier in feature.tiers
        ],
        **{"compared": [compared], "fields": [], "slices": []},
    }
    rows.execute(
        "UPDATE evaluations SET plan = %s, document = %s WHERE id = %s",
        (json.dumps(plan), json.dumps(result), number),
    )
    rows.execute("UPDATE datasets SET task = %s WHERE feature = %s", (task(feature), name))


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
