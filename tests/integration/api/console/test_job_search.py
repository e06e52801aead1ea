"""Jobs by what has no index, over REST and in the console: what matches, how much is examined."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
import pytest

from api.console.routes import jobs as jobs_page
from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers
from tierline.base.ids import new_id
from tierline.services.jobs import read_jobs
from tierline.services.operations import bulk_actions
from tierline.services.operations.bulk_steps import step_bulk_action

Connection = psycopg.Connection[Any]


@pytest.fixture
def feature(api: Api, rows: Connection) -> str:
    """A feature of the test's own."""
    name = f"search-{new_id().hex}"
    add_feature(rows, two_tiers(name))
    return name


@pytest.fixture
def jobs(api: Api, rows: Connection, feature: str) -> list[str]:
    """Four jobs; the second one has escalated."""
    requests: list[dict[str, Any]] = [
        {"user": "ann", "session": "s-1", "metadata": {"run": 7}},
        {"user": "ann", "metadata": {"run": 8, "note": "a=b"}},
        {"user": "bob", "session": "s-1"},
        {},
    ]
    made = [str(api.submit("x", feature=feature, **more)["id"]) for more in requests]
    end_job(rows, made[0])
    rows.execute(
        "UPDATE attempts SET verdict = 'schema' WHERE job_id = %s AND number = 1", (made[0],)
    )
    rows.execute("UPDATE jobs SET escalation_reason = 'rule' WHERE id = %s", (made[1],))
    return made


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({"user": "ann"}, [1, 0]),
        ({"session": "s-1"}, [2, 0]),
        ({"user": "ann", "session": "s-1"}, [0]),
        ({"metadata": "run=7"}, [0]),
        ({"metadata": "note=a=b"}, [1]),
        ({"metadata": "run=9"}, []),
        ({"verdict": "schema"}, [0]),
        ({"verdict": "passed"}, []),
        ({"escalated": "true"}, [1]),
        ({"escalated": "false"}, [3, 2, 0]),
        ({"escalated": "false", "status": "queued"}, [3, 2]),
    ],
    ids=str,
)
def test_jobs_are_found_by_their_details(
    api: Api, jobs: list[str], feature: str, query: dict[str, str], places: list[int]
) -> None:
    page = api.get("/v1/jobs", params={"feature": feature, **query}).json()
    assert [job["id"] for job in page["data"]] == [jobs[place] for place in places]
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    ("more", "places"), [({"user": "ann"}, [1, 0]), ({"status": "completed"}, [0])], ids=str
)
def test_a_page_examines_a_bounded_number_and_the_next_one_goes_on(
    api: Api,
    jobs: list[str],
    feature: str,
    signed_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, str],
    places: list[int],
) -> None:
    monkeypatch.setattr(read_jobs, "MOST_EXAMINED", 2)
    monkeypatch.setattr(read_jobs, "AT_ONCE", 1)
    query = {"feature": feature, **more}
    first = api.get("/v1/jobs", params=query).json()
    assert first["data"] == []
    second = api.get("/v1/jobs", params={**query, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in second["data"]] == [jobs[place] for place in places]
    waiting = api.get("/v1/jobs", params={"feature": feature, "status": "queued"}).json()
    assert [job["id"] for job in waiting["data"]] == [jobs[3], jobs[2], jobs[1]]
    page = signed_in("submit", "read").get(f"/console/jobs?{urlencode(query)}")
    assert "None of the 2 jobs that were examined matches" in text_of(page)
    assert "Search older" in page.text


def test_pages_of_a_search_have_each_job_once(api: Api, jobs: list[str], feature: str) -> None:
    query: dict[str, Any] = {"feature": feature, "escalated": "false", "limit": 2}
    first = api.get("/v1/jobs", params=query).json()
    rest = api.get("/v1/jobs", params={**query, "cursor": first["next_cursor"]}).json()
    listed = [job["id"] for job in first["data"] + rest["data"]]
    assert listed == sorted((jobs[0], jobs[2], jobs[3]), reverse=True)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"verdict": "wrong"}, "?verdict"),
        ({"metadata": "run"}, "must be key=value, such as run=7"),
        ({"metadata": "=7"}, "must be key=value"),
        ({"user": "\x00"}, "?user"),
        ({"escalated": "perhaps"}, "?escalated"),
        ({"user": "ann", "ids": "01a1f2b0-0000-7000-8000-000000000000"}, "?ids"),
    ],
    ids=str,
)
def test_what_no_job_can_have_is_refused(api: Api, query: dict[str, str], words: str) -> None:
    answer = api.get("/v1/jobs", params=query)
    assert answer.status_code == 422
    assert words in answer.text


def test_the_console_searches_counts_and_offers_bulk_actions_on_what_it_shows(
    signed_in: SignIn, jobs: list[str], feature: str
) -> None:
    browser = signed_in("submit", "read")
    query = f"feature={feature}&metadata=run%3D7&verdict=schema"
    page = browser.get(f"/console/jobs?{query}")
    assert jobs[0] in page.text
    assert jobs[1] not in page.text
    assert "1 job matches." in text_of(browser.get(f"/console/jobs?{query}&count=1"))
    assert "All jobs that match" in page.text
    assert browser.get("/console/jobs?verdict=wrong").status_code == 422
    assert browser.get("/console/jobs?metadata=run").status_code == 422


def test_a_count_stops_at_its_limits_and_says_so(
    signed_in: SignIn, jobs: list[str], feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in("submit", "read")
    place = f"/console/jobs?feature={feature}&count=1"
    assert "4 jobs match." in text_of(browser.get(place))
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 1)
    monkeypatch.setattr(bulk_actions, "MOST_EXAMINED", 2)
    assert "2 jobs match among the newest" in text_of(browser.get(place))
    monkeypatch.setattr(bulk_actions, "MOST_COUNTED", 2)
    monkeypatch.setattr(jobs_page, "MOST_COUNTED", 2)
    assert "Over 2 jobs match." in text_of(browser.get(place))


@pytest.mark.parametrize(
    ("details", "places"),
    [
        ({"verdict": "schema"}, [0]),
        ({"user": "ann"}, [0, 1]),
        ({"session": "s-1", "user": "bob"}, [2]),
        ({"metadata": "note=a=b"}, [1]),
        ({"escalated": True}, [1]),
        ({"escalated": False}, [0, 2, 3]),
    ],
    ids=str,
)
def test_a_bulk_action_is_done_once_to_the_jobs_with_these_details(
    api: Api, rows: Connection, jobs: list[str], feature: str, details: Any, places: list[int]
) -> None:
    rows.execute("UPDATE bulk_actions SET status = 'completed' WHERE status = 'running'")
    for job in jobs[1:]:
        end_job(rows, job)
    rows.execute("UPDATE jobs SET escalation_reason = 'rule' WHERE id = %s", (jobs[1],))
    body = {"action": "remove_content", "filter": {"feature": feature, **details}}
    plan = api.post("/v1/bulk-actions", json={**body, "dry_run": True}).json()
    assert (plan["matched"], plan["more"]) == (len(places), False)
    assert plan["filter"] == plan["filter"] | details
    begun = api.post("/v1/bulk-actions", json=body).json()
    while step_bulk_action(rows, UUID(begun["id"])):
        pass
    ended = api.get(f"/v1/bulk-actions/{begun['id']}").json()
    assert (ended["status"], ended["done"], ended["failed"]) == ("completed", len(places), 0)
    removed = [
        place
        for place, job in enumerate(jobs)
        if api.get(f"/v1/jobs/{job}").json()["input_removed_at"] is not None
    ]
    assert removed == places


@pytest.mark.parametrize(
    ("details", "place"),
    [
        ({"metadata": "run"}, "/filter/metadata"),
        ({"verdict": "wrong"}, "/filter/verdict"),
        ({"user": ""}, "/filter/user"),
        ({"escalated": "yes"}, "/filter/escalated"),
    ],
    ids=str,
)
def test_details_that_no_job_can_have_begin_no_action(api: Api, details: Any, place: str) -> None:
    refused = api.post("/v1/bulk-actions", json={"action": "cancel", "filter": details})
    assert refused.status_code == 422
    assert place in refused.text
