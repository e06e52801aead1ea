"""/v1/bulk-actions: one action on all jobs that match a filter."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.services.operations.bulk_steps import step_bulk_action

Connection = psycopg.Connection[Any]


@pytest.fixture
def feature(api: Api, rows: Connection) -> str:
    """A feature of the test's own."""
    name = f"bulk-{new_id().hex}"
    add_feature(rows, two_tiers(name))
    return name


@pytest.fixture(autouse=True)
def ended_before(rows: Connection) -> None:
    """No action of another test is running."""
    rows.execute("UPDATE bulk_actions SET status = 'completed' WHERE status = 'running'")


MANY_AT_ONCE = 2  # an API has few connections for routes in threads


def waiting(rows: Connection) -> int:
    """How many transactions wait for an advisory lock in this database."""
    row = rows.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).fetchone()
    assert row is not None
    return int(row[0])


def begin(api: Api, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post("/v1/bulk-actions", json=body, headers=headers)


def test_a_dry_run_counts_and_changes_nothing_and_the_action_does_what_it_said(
    api: Api, rows: Connection, feature: str
) -> None:
    jobs = [str(api.submit(f"{number}", feature=feature)["id"]) for number in range(3)]
    end_job(rows, jobs[0], "failed")
    body = {"action": "cancel", "filter": {"feature": feature, "status": "queued"}}

    planned = begin(api, {**body, "dry_run": True})
    assert planned.status_code == 200
    assert (planned.json()["matched"], planned.json()["more"]) == (2, False)
    assert planned.json()["at_most_usd"] == "0"
    assert planned.json()["filter"]["status"] == "queued"
    assert "id" not in planned.json()

    made = begin(api, body)
    assert made.status_code == 201
    path = f"/v1/bulk-actions/{made.json()['id']}"
    assert api.get(path).json()["status"] == "running"
    step_bulk_action(rows, UUID(made.json()["id"]))
    action = api.get(path).json()
    assert (action["status"], action["done"], action["errors"]) == ("completed", 2, [])
    assert {api.get(f"/v1/jobs/{job}").json()["status"] for job in jobs[1:]} == {"cancelled"}
    assert action in api.get("/v1/bulk-actions").json()["data"]


def test_errors_are_told_by_reason(api: Api, rows: Connection, feature: str) -> None:
    job = str(api.submit("x", feature=feature)["id"])
    end_job(rows, job)
    made = begin(api, {"action": "retry", "filter": {"feature": feature}}).json()
    step_bulk_action(rows, UUID(made["id"]))
    (error,) = api.get(f"/v1/bulk-actions/{made['id']}").json()["errors"]
    assert (error["reason"], error["count"], error["job_ids"]) == ("completed", 1, [job])


def test_an_aborted_action_ends_and_a_repeat_changes_nothing(
    api: Api, rows: Connection, feature: str
) -> None:
    api.submit("x", feature=feature)
    made = begin(api, {"action": "cancel", "filter": {"feature": feature}}).json()
    for _ in range(2):
        aborted = api.post(f"/v1/bulk-actions/{made['id']}/abort")
        assert (aborted.status_code, aborted.json()["status"]) == (200, "aborted")
    assert step_bulk_action(rows, UUID(made["id"])) == 0


def test_one_key_makes_one_action(api: Api, feature: str) -> None:
    body = {"action": "cancel", "filter": {"feature": feature}}
    first, again = begin(api, body, feature), begin(api, body, feature)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = begin(api, {**body, "limit": 1}, feature)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "explode", "filter": {}},
        {"action": "cancel"},
        {"action": "cancel", "filter": {"status": "done"}},
        {"action": "cancel", "filter": {"feature": "\x00"}},
        {"action": "cancel", "filter": {"batch_id": "1"}},
        {"action": "cancel", "filter": {"what": 1}},
        {"action": "cancel", "filter": {}, "limit": 0},
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert begin(api, body).status_code in (400, 422)


def test_the_list_has_pages(api: Api, feature: str) -> None:
    made = [
        begin(api, {"action": "cancel", "filter": {"feature": feature}}).json()["id"]
        for _ in range(3)
    ]
    first = api.get("/v1/bulk-actions", params={"limit": 2}).json()
    assert [one["id"] for one in first["data"]] == [made[2], made[1]]
    rest = api.get("/v1/bulk-actions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert rest["data"][0]["id"] == made[0]


def test_no_more_than_five_run_however_many_are_begun_at_once(
    api: Api, rows: Connection, feature: str
) -> None:
    body = {"action": "cancel", "filter": {"feature": feature}}
    account = rows.execute("SELECT id FROM accounts WHERE name = 'default'").fetchone()
    with ThreadPoolExecutor(8) as crowd:
        # All have counted their jobs and stand before the count of running actions at once.
        with rows.transaction():
            rows.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('bulk_actions', %s))", account
            )
            begun = [crowd.submit(begin, api, body) for _ in range(8)]
            wait_until(lambda: waiting(rows) >= MANY_AT_ONCE, DEADLINE_S, "them to wait")
        codes = Counter(one.result().status_code for one in begun)
    assert codes == {201: 5, 409: 3}
    assert begin(api, body).status_code == 409
