"""Queues, usage and metrics."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.reports import usage

Connection = psycopg.Connection[Any]


def queues(api: Api) -> dict[str, dict[str, Any]]:
    return {row["queue"]: row for row in api.get("/v1/queues").json()["data"]}


def test_queues_tell_what_waits_is_hinted_and_runs(api: Api, other: Api, rows: Connection) -> None:
    before = queues(api)["slm"]
    ids = [api.submit()["id"], api.submit()["id"], other.submit()["id"], other.submit()["id"]]
    rows.execute("UPDATE jobs SET hint_no = 1 WHERE id = %s", (ids[0],))
    rows.execute(
        "UPDATE jobs SET status = 'in_progress', claim_token = %s WHERE id = %s", (uuid4(), ids[1])
    )
    rows.execute(
        "UPDATE jobs SET run_after = clock_timestamp() + interval '1 h' WHERE id = %s", (ids[3],)
    )
    after = queues(api)["slm"]
    changed = {
        name: after[name] - before[name]
        for name in ("waiting", "delayed", "hinted", "running", "accounts_waiting")
    }
    assert changed == {
        "waiting": 2, "delayed": 1, "hinted": 1, "running": 1, "accounts_waiting": 1
    }  # fmt: skip
    assert after["oldest_s"] >= 0
    assert queues(api)["deeper-analysis"]["oldest_s"] is None
    assert queues(api)["webhooks"]["oldest_s"] is None


def test_usage_is_the_sum_of_the_accounts_own_calls(api: Api, other: Api, rows: Connection) -> None:
    for _ in range(3):
        end_job(rows, other.submit()["id"])
    unknown = other.submit()["id"]
    end_job(rows, unknown)
    rows.execute("UPDATE calls SET cost_usd = NULL WHERE job_id = %s", (unknown,))
    (total,) = other.get("/v1/usage").json()["data"]
    assert (total["jobs"], total["calls"], total["unknown_cost_calls"]) == (4, 4, 1)
    assert total["cost_usd"] == "0.000375"
    assert total["usage"]["input_tokens"] == 40
    jobs = other.get("/v1/jobs").json()["data"]
    assert sum(Decimal(job["cost_usd"]) for job in jobs) == Decimal(total["cost_usd"])
    (group,) = other.get("/v1/usage?group_by=day,feature,tier,model").json()["data"]
    assert (group["feature"], group["tier"], group["model"]) == ("echo", "slm", "openai:small")
    assert other.get("/v1/usage?to=2020-01-01T00:00:00Z&group_by=day").json()["data"] == []
    rows.execute("UPDATE calls SET purpose = 'judge' WHERE job_id = %s", (unknown,))
    purposes = other.get("/v1/usage?group_by=purpose").json()["data"]
    assert [(one["purpose"], one["calls"], one["cost_usd"]) for one in purposes] == [
        ("answer", 3, "0.000375"),
        ("judge", 1, "0"),
    ]


def test_usage_by_user_lists_those_with_the_highest_cost_of_the_newest_jobs(
    other: Api, rows: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user, jobs in (("ann", 1), ("bob", 3), ("eve", 2)):
        for _ in range(jobs):
            end_job(rows, other.submit(user=user)["id"])
    other.submit(user="zoe")  # it has called no model
    begin = datetime.now(UTC) - timedelta(days=1)
    query = {"group_by": "user", "from": begin.isoformat()}
    whole = other.get("/v1/usage", params=query).json()
    named = [one for one in whole["data"] if one["user"]]  # other tests' jobs have no user
    assert [(one["user"], one["jobs"], one["cost_usd"]) for one in named] == [
        ("bob", 3, "0.000375"),
        ("eve", 2, "0.00025"),
        ("ann", 1, "0.000125"),
    ]
    assert named[0]["usage"]["input_tokens"] == 30
    assert (
        sum(one["calls"] for one in whole["data"])
        == (other.get("/v1/usage").json()["data"][0]["calls"])
    )
    assert (datetime.fromisoformat(whole["from"]), whole["more_users"]) == (begin, 0)
    monkeypatch.setattr(usage, "AT_ONCE", 1)
    monkeypatch.setattr(usage, "MOST_EXAMINED", 4)
    monkeypatch.setattr(usage, "MOST_USERS", 1)
    part = other.get("/v1/usage", params=query).json()
    assert [(one["user"], one["jobs"]) for one in part["data"]] == [("eve", 2)]
    assert part["more_users"] == 1
    assert datetime.fromisoformat(part["from"]) > begin
    far_back = "/v1/usage?group_by=user&from=2020-01-01&to=2020-01-02"
    refusal = other.get(far_back)
    assert refusal.status_code == 422, "none of the jobs that are read is from then"
    assert refusal.json()["errors"][0]["path"] == "?to"
    monkeypatch.undo()
    assert other.get(far_back).json()["data"] == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("group_by=colour", "?group_by"),
        ("group_by=day,user", "?group_by"),
        ("from=yesterday", "?from"),
        ("from=2026-02-01&to=2026-01-01", "?from"),
    ],
)
def test_an_unfit_usage_query_is_a_problem(api: Api, query: str, path: str) -> None:
    response = api.get(f"/v1/usage?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["path"] == path


def test_metrics_need_no_key_and_hold_the_queues(api: Api) -> None:
    api.submit()
    text = api.as_(None).get("/metrics").text
    assert 'tierline_queue_waiting{queue="slm"}' in text
    assert 'tierline_http_requests_total{method="POST",route="/v1/jobs",status="202"}' in text


def test_failed_checks_are_told_by_feature_tier_and_verdict(
    api: Api, other: Api, rows: Connection
) -> None:
    job_id = other.submit()["id"]
    end_job(rows, job_id)
    rows.execute("UPDATE attempts SET verdict = 'rule' WHERE job_id = %s", (job_id,))

    def failed() -> bool:
        failed_checks = api.get("/v1/queues").json()["failed_checks"]
        return {"feature": "echo", "tier": "slm", "verdict": "rule", "attempts": 1} in failed_checks

    wait_until(failed, DEADLINE_S, "the failed check to be told", every_s=0.2)
