"""Bulk actions in the console: counted first, then an action with progress and an abort."""

import re
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api.browser import Browser, SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers
from tierline.base.ids import new_id
from tierline.services.operations.bulk_steps import step_bulk_action

Connection = psycopg.Connection[Any]


@pytest.fixture
def feature(api: Api, rows: Connection) -> str:
    """A feature of the test's own; no action of another test is running."""
    rows.execute("UPDATE bulk_actions SET status = 'completed' WHERE status = 'running'")
    name = f"bulk-{new_id().hex}"
    add_feature(rows, two_tiers(name))
    return name


def plan(browser: Browser, feature: str, action: str = "cancel", **more: str) -> Any:
    fields = {"feature": feature, "action": action, **more}
    return browser.post("/console/bulk-actions/plan", fields)


def fields_of(page: Any) -> dict[str, str]:
    """The hidden fields of the form that begins the action."""
    (form,) = re.findall(r'action="/console/bulk-actions">(.*?)</form>', page.text, re.S)
    fields = dict(re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', form))
    del fields["csrf"]
    return fields


def begin(browser: Browser, page: Any) -> str:
    answer = browser.post("/console/bulk-actions", fields_of(page))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_jobs_are_counted_then_acted_on_and_the_page_shows_how_far_it_is(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    queued = [str(api.submit(f"{n}", feature=feature)["id"]) for n in range(2)]
    ended = str(api.submit("ended", feature=feature)["id"])
    end_job(rows, ended)
    browser = signed_in()
    assert "/console/bulk-actions/plan" in browser.get(f"/console/jobs?feature={feature}").text

    planned = plan(browser, feature)
    assert "Cancel: 3 jobs match" in text_of(planned)
    assert {api.get(f"/v1/jobs/{job}").json()["status"] for job in queued} == {"queued"}

    place = begin(browser, planned)
    assert begin(browser, planned) == place, "the form sent again begins nothing"
    page = browser.get(place)
    assert "◐ running" in text_of(page)
    assert "poll.js" in page.text

    step_bulk_action(rows, UUID(place.rpartition("/")[2]))
    page = browser.get(place)
    text = text_of(page)
    assert "✓ completed" in text
    assert "2 done, 1 not, of 3" in text
    assert "the job had ended 1" in text
    assert f"/console/jobs/{ended}" in page.text
    assert "poll.js" not in page.text
    assert {api.get(f"/v1/jobs/{job}").json()["status"] for job in queued} == {"cancelled"}
    assert place in browser.get("/console/bulk-actions").text
    assert "began a bulk action" in text_of(signed_in("admin").get("/console/audit"))


def test_a_retry_shows_its_cost_and_a_limit(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    for number in range(3):
        end_job(rows, str(api.submit(f"{number}", feature=feature)["id"]), "failed")
    text = text_of(plan(signed_in(), feature, "retry", limit="2", status="failed"))
    assert "Retry: 3 jobs match" in text
    assert "Estimated cost" in text
    assert "Retry 2 jobs" in text


def test_an_action_is_aborted(signed_in: SignIn, api: Api, rows: Connection, feature: str) -> None:
    job = str(api.submit("x", feature=feature)["id"])
    browser = signed_in()
    place = begin(browser, plan(browser, feature))
    assert browser.post(f"{place}/abort").headers["location"] == place
    assert "⊘ aborted" in text_of(browser.get(place))
    assert step_bulk_action(rows, UUID(place.rpartition("/")[2])) == 0
    assert api.get(f"/v1/jobs/{job}").json()["status"] == "queued"


@pytest.mark.parametrize(
    "fields",
    [{"action": "explode"}, {"status": "done"}, {"limit": "0"}, {"limit": "x"}, {"batch": "1"}],
    ids=str,
)
def test_what_cannot_be_done_is_refused(
    signed_in: SignIn, feature: str, fields: dict[str, str]
) -> None:
    browser = signed_in()
    sent = {"feature": feature, "action": "cancel", **fields}
    assert browser.post("/console/bulk-actions/plan", sent).status_code == 422
    for nonce in ("", "x", "!" * 16):
        refused = browser.post(
            "/console/bulk-actions", {"feature": feature, "action": "cancel", "nonce": nonce}
        )
        assert refused.status_code == 400


def test_a_key_that_may_only_read_sees_actions_and_begins_none(
    signed_in: SignIn, api: Api, feature: str
) -> None:
    api.submit("x", feature=feature)
    submitter, reader = signed_in(), signed_in("read")
    place = begin(submitter, plan(submitter, feature))
    page = reader.get(place)
    assert page.status_code == 200
    assert "/abort" not in page.text
    assert reader.post(f"{place}/abort").status_code == 403
    assert plan(reader, feature).status_code == 403
    assert "/console/bulk-actions/plan" not in reader.get(f"/console/jobs?feature={feature}").text


def test_another_accounts_action_is_not_found(
    signed_in: SignIn, api: Api, other: Api, feature: str
) -> None:
    api.submit("x", feature=feature)
    mine = signed_in()
    place = begin(mine, plan(mine, feature))
    theirs = signed_in(account="other")
    assert theirs.get(place).status_code == 404
    assert theirs.post(f"{place}/abort").status_code == 404
    assert "◐ running" in text_of(mine.get(place))
