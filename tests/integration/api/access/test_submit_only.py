"""A key that may submit and not read is told how its jobs stand, and nothing of their content.

Every route is walked, a new one as well: `test_access` has a row for each.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.api.access import LOCKED, NAMES, ROWS
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers
from tierline.base.ids import new_id
from tierline.services.accounts.accounts import create_key
from tierline.views.batches.batches import BATCH_CONTENT
from tierline.views.jobs.jobs import JOB_CONTENT

Connection = psycopg.Connection[Any]
Route = tuple[str, str]

SENTINEL = "zq-what-nobody-may-read"
JOB = {
    "feature": "echo",
    "input": {"text": f"input {SENTINEL}"},
    "metadata": {"note": f"metadata {SENTINEL}"},
    "user": f"user {SENTINEL}",
    "session": f"session {SENTINEL}",
    "webhook_url": f"https://hooks.example.com/{SENTINEL}",
}
BATCH = {name: JOB[name] for name in ("feature", "metadata", "webhook_url")}
STATUSES = ("queued", "completed", "failed", "cancelled")
SAYS_JOBS = {
    ("post", "/v1/jobs/{job_id}/cancel"),
    ("post", "/v1/jobs/{job_id}/retry"),
    ("post", "/v1/batches/{batch_id}/cancel"),
    ("post", "/v1/batches/{batch_id}/pause"),
    ("post", "/v1/batches/{batch_id}/resume"),
    ("post", "/v1/batches/{batch_id}/seal"),
    ("delete", "/v1/jobs/{job_id}/content"),
    ("delete", "/v1/batches/{batch_id}/content"),
}


@pytest.fixture(scope="module")
def submitter(api: Api, rows: Connection) -> Iterator[Api]:
    """A client whose key may submit and nothing else."""
    client = api.as_(create_key(rows, "default", ("submit",)).key)
    yield client
    client.close()


def full_job(api: Api, rows: Connection, status: str, key: str | None = None) -> str:
    """A job of that status with the sentinel wherever content may stand; its id."""
    headers = {} if key is None else {"Idempotency-Key": key}
    job_id = str(api.post("/v1/jobs", json=JOB, headers=headers).json()["id"])
    if status != "queued":
        end_job(rows, job_id, status)
        rows.execute(
            "UPDATE answers SET text = %(s)s, output = jsonb_build_object('text', %(s)s::text)"
            " WHERE job_id = %(id)s",
            {"s": f"output {SENTINEL}", "id": job_id},
        )
    rows.execute(
        "UPDATE jobs SET custom_id = %(s)s, escalation_reason = %(s)s, error_message = %(s)s,"
        " error_code = CASE WHEN status = 'failed' THEN 'checks_failed' END WHERE id = %(id)s",
        {"s": f"said {SENTINEL}", "id": job_id},
    )
    return job_id


def full_batch(api: Api, rows: Connection, *, ended: bool) -> str:
    """A batch with the sentinel in it and in its bad row; its id."""
    batch = str(api.post("/v1/batches", json=BATCH).json()["id"])
    good = {"custom_id": SENTINEL, "input": {"text": SENTINEL}, "metadata": {"a": SENTINEL}}
    part = "\n".join(json.dumps(line) for line in (good, {"input": {SENTINEL: 1}}))
    sent = api.send(
        "PUT",
        f"/v1/batches/{batch}/parts/1",
        content=part.encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert sent.json()["bad_rows"] == 1, sent.text
    if ended:
        assert api.post(f"/v1/batches/{batch}/seal", json={"parts": 1}).status_code == 200
        for (job,) in rows.execute("SELECT id FROM jobs WHERE batch_id = %s", (batch,)).fetchall():
            end_job(rows, str(job))
        rows.execute(
            "UPDATE batches SET status = 'completed', completed_at = clock_timestamp()"
            " WHERE id = %s",
            (batch,),
        )
    return batch


def walk(client: Api, api: Api, rows: Connection, route: Route) -> list[httpx.Response]:
    """The answers of a route about a job or batch in each of its states."""
    template = route[1].replace("/v1/features/{name}", "/v1/features/echo")
    row = ROWS[route]
    if route == ("post", "/v1/batches/{batch_id}/seal"):
        row = replace(row, body={"parts": 1})
    if "{job_id}" in template:
        paths = [template.format(job_id=full_job(api, rows, status)) for status in STATUSES]
    elif "{batch_id}" in template:
        paths = [
            template.format(batch_id=full_batch(api, rows, ended=ended), number=1)
            for ended in (False, True)
        ]
    else:
        full_job(api, rows, "completed")
        others = (
            "name",
            "endpoint_id",
            "delivery_id",
            "key_id",
            "person_id",
            "draft_id",
            "router_id",
        )
        more = ("model_id", "budget_id", "evaluation_id", "calibration_id", "version")
        operations = ("training_id", "search_id")
        numbers = dict.fromkeys((*others, *more, *operations), "1")
        paths = [template.format_map(numbers | {"action_id": str(new_id())})]
    return [client.send(route[0].upper(), path, **row.request()) for path in paths]


@pytest.mark.parametrize("route", LOCKED, ids=NAMES.get)
def test_no_answer_to_a_key_that_may_only_submit_holds_content(
    api: Api, rows: Connection, submitter: Api, route: Route
) -> None:
    answers = walk(submitter, api, rows, route)
    assert answers
    for answer in answers:
        assert SENTINEL not in answer.text
        assert SENTINEL not in str(answer.headers)
    if set(ROWS[route].opens) - {"submit"}:
        assert {answer.status_code for answer in answers} == {403}
    if route in SAYS_JOBS:
        # What is looked for is there: a key that may read is told.
        assert any(answer.status_code < 300 for answer in answers)
        assert any(SENTINEL in answer.text for answer in walk(api, api, rows, route))


@pytest.mark.parametrize("headers", [{}, {"Prefer": "wait=1"}], ids=["at once", "with a wait"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_repeated_submission_tells_how_the_job_stands_and_no_content(
    api: Api, rows: Connection, submitter: Api, status: str, headers: dict[str, str]
) -> None:
    key = f"once {status} {len(headers)} {time.monotonic_ns()}".replace(" ", "-")
    job = full_job(api, rows, status, key)
    again = submitter.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key, **headers})
    found = again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (found["id"], found["status"]) == (job, status)
    assert SENTINEL not in again.text
    assert not set(JOB_CONTENT) & set(found)
    assert found["error"] == ({"code": "checks_failed"} if status == "failed" else None)
    read = api.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key, **headers})
    assert set(JOB_CONTENT) <= set(read.json())
    assert SENTINEL in read.text


def test_a_wait_for_the_end_tells_no_output(api: Api, rows: Connection, submitter: Api) -> None:
    answer = submitter.post("/v1/jobs", json=JOB, headers={"Prefer": "wait=0.2"})
    assert answer.headers["preference-applied"] == "wait=0.2"
    assert SENTINEL not in answer.text
    assert "output" not in answer.json()


def test_a_repeated_opening_of_a_batch_tells_no_content(api: Api, submitter: Api) -> None:
    headers = {"Idempotency-Key": "a-batch-of-submit-only"}
    made = submitter.post("/v1/batches", json=BATCH, headers=headers)
    again = submitter.post("/v1/batches", json=BATCH, headers=headers)
    assert (made.status_code, again.status_code) == (201, 200)
    for answer in (made, again):
        assert SENTINEL not in answer.text
        assert not set(BATCH_CONTENT) & set(answer.json())
    assert set(BATCH_CONTENT) <= set(api.get(f"/v1/batches/{made.json()['id']}").json())


def test_a_retry_that_no_longer_fits_does_not_quote_the_kept_input(
    api: Api, rows: Connection, submitter: Api
) -> None:
    add_feature(rows, two_tiers("narrowed"))
    body = {**JOB, "feature": "narrowed", "input": {"text": "a", SENTINEL: "of this name"}}
    job = str(api.post("/v1/jobs", json=body).json()["id"])
    end_job(rows, job, "failed")
    feature = two_tiers("narrowed")
    narrow = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}}
    add_feature(rows, replace(feature, input_schema=narrow), version=2)
    refused = submitter.post(f"/v1/jobs/{job}/retry")
    assert refused.status_code == 422
    assert SENTINEL not in refused.text
    assert "current version" in refused.text
    response = api.post(f"/v1/jobs/{job}/retry")
    assert response.status_code == 422
    assert SENTINEL in response.text
