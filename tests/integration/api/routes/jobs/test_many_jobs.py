"""Submitting many jobs in one call, and reading many by their ids."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers
from tierline.base.ids import new_id
from tierline.services.accounts.accounts import create_account, create_key

Connection = psycopg.Connection[Any]


def body(*texts: Any) -> dict[str, Any]:
    return {"jobs": [{"feature": "echo", "input": {"text": text}} for text in texts]}


def count(rows: Connection, text: str) -> int:
    row = rows.execute(
        "SELECT count(*) FROM job_requests WHERE input ->> 'text' LIKE %s", (text,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_all_jobs_of_a_call_are_accepted_in_its_order(api: Api) -> None:
    answer = api.post("/v1/jobs:batch", json=body(*(f"many {n}" for n in range(100))))
    assert answer.status_code == 202
    jobs = answer.json()["data"]
    assert len({job["id"] for job in jobs}) == 100
    assert jobs[7] == api.get(f"/v1/jobs/{jobs[7]['id']}").json()
    assert int(answer.headers["retry-after"]) >= 1


def test_the_same_key_and_payload_give_the_same_jobs(api: Api, rows: Connection) -> None:
    headers = {"Idempotency-Key": "many-1"}
    first = api.post("/v1/jobs:batch", json=body("same a", "same b"), headers=headers)
    end_job(rows, first.json()["data"][1]["id"])
    again = api.post("/v1/jobs:batch", json=body("same a", "same b"), headers=headers)
    assert [job["id"] for job in again.json()["data"]] == [
        job["id"] for job in first.json()["data"]
    ]
    assert again.json()["data"][1]["status"] == "completed"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert count(rows, "same %") == 2


@pytest.mark.parametrize("other", [("same a", "other"), ("same a",), ("same a", "same b", "c")])
def test_a_key_with_another_payload_is_refused(api: Api, other: tuple[str, ...]) -> None:
    headers = {"Idempotency-Key": "many-2"}
    api.post("/v1/jobs:batch", json=body("same a", "same b"), headers=headers)
    answer = api.post("/v1/jobs:batch", json=body(*other), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:tierline:problem:idempotency-key-reused"


def test_a_key_of_one_job_and_of_many_are_apart(api: Api) -> None:
    headers = {"Idempotency-Key": "many-3"}
    one = api.post("/v1/jobs", json=body("apart")["jobs"][0], headers=headers)
    many = api.post("/v1/jobs:batch", json=body("apart"), headers=headers)
    assert many.status_code == 202
    assert many.json()["data"][0]["id"] != one.json()["id"]


def test_calls_with_one_key_at_once_make_the_jobs_once(api: Api, rows: Connection) -> None:
    def submit(_: int) -> tuple[str, ...]:
        answer = api.post(
            "/v1/jobs:batch",
            json=body("at once a", "at once b"),
            headers={"Idempotency-Key": "many-4"},
        )
        return tuple(job["id"] for job in answer.json()["data"])

    with ThreadPoolExecutor(6) as crowd:
        assert len(set(crowd.map(submit, range(12)))) == 1
    assert count(rows, "at once %") == 2


def test_one_wrong_job_keeps_all_from_being_written_and_is_named(
    api: Api, rows: Connection
) -> None:
    wrong = body("not written", 7, "not written")
    wrong["jobs"].append({"feature": "of nobody", "input": {}})
    answer = api.post("/v1/jobs:batch", json=wrong)
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["errors"]] == [
        *("/jobs/1/input/text", "/jobs/3/feature")
    ]
    assert count(rows, "not written") == 0


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"jobs": []}, "/jobs"),
        ({"jobs": [{}] * 101}, "/jobs"),
        ({"jobs": {}}, "/jobs"),
        ({"jobs": [1]}, "/jobs/0"),
        ({"jobs": [], "more": 1}, "/more"),
        (body("a") | {"jobs": [{"feature": "echo", "input": {}, "oops": 1}]}, "/jobs/0/oops"),
    ],
)
def test_a_call_of_another_form_is_refused_with_the_place(api: Api, sent: Any, path: str) -> None:
    answer = api.post("/v1/jobs:batch", json=sent)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


def test_a_call_that_does_not_fit_into_the_accounts_limit_writes_nothing(
    api: Api, rows: Connection
) -> None:
    create_account(rows, "narrow")
    narrow = api.as_(create_key(rows, "narrow", ("submit", "read")).key)
    api.send("PATCH", "/v1/accounts/narrow", json={"max_queued_jobs": 3})
    assert narrow.post("/v1/jobs:batch", json=body("narrow 1", "narrow 2")).status_code == 202
    refused = narrow.post("/v1/jobs:batch", json=body("narrow 3", "narrow 4"))
    assert refused.status_code == 429
    assert "max_queued_jobs" in refused.json()["detail"]
    assert narrow.post("/v1/jobs:batch", json=body(*"abcd")).status_code == 422
    assert count(rows, "narrow %") == 2


def test_the_jobs_of_a_call_are_of_the_features_current_version(api: Api, rows: Connection) -> None:
    add_feature(rows, two_tiers("moving"))
    sent = {"jobs": [{"feature": "moving", "input": {"text": "a"}}] * 2}
    assert api.post("/v1/jobs:batch", json=sent).status_code == 202
    add_feature(rows, two_tiers("moving"), version=2)
    jobs = api.post("/v1/jobs:batch", json=sent).json()["data"]
    assert [job["feature_version"] for job in jobs] == [2, 2]


def test_jobs_are_read_by_their_ids_in_the_order_asked(api: Api, other: Api) -> None:
    ids = [job["id"] for job in api.post("/v1/jobs:batch", json=body(*"abc")).json()["data"]]
    requested = [ids[2], str(new_id()), ids[0], other.submit()["id"], ids[2]]
    page = api.get("/v1/jobs", params={"ids": ",".join(requested)}).json()
    assert [job["id"] for job in page["data"]] == [ids[2], ids[0]]
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"ids": "x"},
        {"ids": ""},
        {"ids": ",".join(["00000000-0000-7000-8000-000000000000"] * 201)},
        {"ids": "00000000-0000-7000-8000-000000000000", "status": "queued"},
    ],
)
def test_ids_that_cannot_be_read_are_refused(api: Api, query: dict[str, str]) -> None:
    answer = api.get("/v1/jobs", params=query)
    assert answer.status_code == 422
    assert "ids" in answer.json()["errors"][0]["path"]
