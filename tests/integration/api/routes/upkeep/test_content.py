"""DELETE /v1/jobs/{id}/content: what it takes away, what it leaves, and what says so afterwards."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import end_job, two_tiers
from tierline.base.ids import new_id
from tierline.features import Retention
from tierline.storage.features.features import add_version

Connection = psycopg.Connection[Any]


@pytest.fixture
def ended(api: Api, rows: Connection) -> dict[str, Any]:
    """A completed job, as it is shown."""
    job_id = api.submit()["id"]
    end_job(rows, job_id)
    job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").json()
    return job


def remove(api: Api, job: dict[str, Any]) -> Any:
    return api.send("DELETE", f"/v1/jobs/{job['id']}/content")


def test_a_job_loses_its_output_and_says_so_and_keeps_everything_else(
    api: Api, rows: Connection, ended: dict[str, Any]
) -> None:
    path = f"/v1/jobs/{ended['id']}"
    before = api.get(path).headers["etag"]
    removed = remove(api, ended)
    assert removed.status_code == 200
    job = removed.json()
    assert (ended["output"], job["output"]) == ({"text": "x"}, None)
    assert job["input_removed_at"]
    assert job["output_removed_at"]
    gone = {"output": None, "input_removed_at": None, "output_removed_at": None}
    assert job | gone == ended | gone
    again = api.get(path, headers={"If-None-Match": before})
    assert (again.status_code, again.json()) == (200, job)
    (attempt,) = api.get(f"{path}/attempts").json()["data"]
    assert (attempt["verdict"], attempt["answer"], attempt["output"]) == ("passed", None, None)
    assert attempt["output_removed_at"] == job["output_removed_at"]
    assert attempt["calls"][0]["cost_usd"] == "0.000125"
    left = rows.execute(
        "SELECT input IS NULL, EXISTS (SELECT FROM answers WHERE job_id = %s)"
        " FROM job_requests WHERE job_id = %s",
        (ended["id"], ended["id"]),
    ).fetchone()
    assert left == (True, False)


def test_a_repeat_changes_nothing(api: Api, ended: dict[str, Any]) -> None:
    first, second = remove(api, ended), remove(api, ended)
    assert (first.status_code, first.json()) == (second.status_code, second.json())


def test_a_job_that_goes_on_is_left_alone(api: Api, rows: Connection) -> None:
    job = api.submit()
    assert remove(api, job).status_code == 409
    rows.execute("UPDATE jobs SET status = 'in_progress' WHERE id = %s", (job["id"],))
    refused = remove(api, job)
    assert refused.status_code == 409
    assert "in_progress" in refused.json()["detail"]
    kept = rows.execute("SELECT input FROM job_requests WHERE job_id = %s", (job["id"],)).fetchone()
    assert kept == ({"text": "hello"},)


def test_another_account_removes_nothing(api: Api, other: Api, ended: dict[str, Any]) -> None:
    assert remove(other, ended).status_code == 404
    assert api.get(f"/v1/jobs/{ended['id']}").json() == ended


def test_what_needs_the_content_is_refused_afterwards(api: Api, rows: Connection) -> None:
    job = api.submit()
    end_job(rows, job["id"], "failed")
    remove(api, job)
    retried = api.post(f"/v1/jobs/{job['id']}/retry")
    assert (retried.status_code, "input was removed" in retried.text) == (409, True)
    labelled = api.post(f"/v1/jobs/{job['id']}/feedback", json={"correct": True})
    assert (labelled.status_code, "output was removed" in labelled.text) == (409, True)


@pytest.mark.parametrize("keep_labelled", [True, False])
def test_a_label_stays_if_the_feature_says_so_and_the_content_goes(
    api: Api, rows: Connection, ended: dict[str, Any], keep_labelled: bool
) -> None:
    path = f"/v1/jobs/{ended['id']}"
    api.post(f"{path}/feedback", json={"correct": False, "expected": {"text": "y"}})
    feature = replace(two_tiers("echo"), retention=Retention(30, 30, keep_labelled))
    add_version(rows, feature, "")
    assert remove(api, ended).json()["output"] is None
    label = rows.execute(
        "SELECT correct, expected FROM feedback WHERE job_id = %s", (ended["id"],)
    ).fetchone()
    assert label == (False, {"text": "y"} if keep_labelled else None)


def test_a_webhook_that_was_sent_cannot_be_sent_again(
    api: Api, rows: Connection, ended: dict[str, Any]
) -> None:
    delivery = new_id()
    rows.execute(
        "INSERT INTO deliveries (id, account_id, url, target, job_id, event, body, status)"
        " SELECT %s, account_id, 'https://example.com/', 't', id, 'job.completed', 'x', 'delivered'"
        " FROM jobs WHERE id = %s",
        (delivery, ended["id"]),
    )
    path = f"/v1/webhook-deliveries/{delivery}"
    assert api.get(path).json()["body_removed"] is False
    remove(api, ended)
    assert api.get(path).json()["body_removed"] is True
    refused = api.post(f"{path}/resend")
    assert (refused.status_code, "removed" in refused.json()["detail"]) == (409, True)
