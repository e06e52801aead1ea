"""Submitting, reading, listing, cancelling and retrying jobs over HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, add_job, end_job, micro_first, two_tiers

Connection = psycopg.Connection[Any]


def test_a_submitted_job_is_accepted_with_its_place_and_when_to_ask_again(api: Api) -> None:
    response = api.post(
        "/v1/jobs",
        json={
            "feature": "echo",
            "input": {"text": "hello"},
            "metadata": {"n": 1},
            "user": "u-1",
            "session": "s-1",
            "deadline_s": 600,
        },
    )
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert (job["status"], job["tier"], job["escalated"]) == ("queued", "slm", False)
    assert (job["metadata"], job["user"], job["session"]) == ({"n": 1}, "u-1", "s-1")
    assert (job["cost_usd"], job["unknown_cost_calls"]) == ("0", 0)


def test_a_fresh_job_reads_as_its_submission_said(api: Api) -> None:
    job = api.submit(metadata={"a": [1, None]})
    assert api.get(f"/v1/jobs/{job['id']}").json() == job


def test_a_job_waits_in_the_lane_of_its_first_tier(api: Api, rows: Connection) -> None:
    job = api.submit()
    row = rows.execute(
        "SELECT queue, tier, tier_index, status FROM jobs WHERE id = %s", (job["id"],)
    )
    assert row.fetchone() == ("slm", "slm", 0, "queued")


def test_the_same_key_and_payload_give_the_same_job(api: Api) -> None:
    body = {"feature": "echo", "input": {"text": "once"}, "metadata": {"a": 1, "b": 2}}
    turned = {"metadata": {"b": 2, "a": 1}, "input": {"text": "once"}, "feature": "echo"}
    headers = {"Idempotency-Key": "once-1"}
    first = api.post("/v1/jobs", json=body, headers=headers)
    again = api.post("/v1/jobs", json=turned, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.status_code == 202


def test_a_key_with_another_payload_is_refused(api: Api) -> None:
    headers = {"Idempotency-Key": "twice-1"}
    api.post("/v1/jobs", json={"feature": "echo", "input": {"text": "a"}}, headers=headers)
    other = api.post("/v1/jobs", json={"feature": "echo", "input": {"text": "b"}}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:tierline:problem:idempotency-key-reused"


def test_a_replayed_job_that_ended_is_shown_as_ended(api: Api, rows: Connection) -> None:
    headers = {"Idempotency-Key": "ended-1"}
    body = {"feature": "echo", "input": {"text": "a"}}
    job = api.post("/v1/jobs", json=body, headers=headers).json()
    end_job(rows, job["id"])
    again = api.post("/v1/jobs", json=body, headers=headers)
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert "retry-after" not in again.headers


def test_many_submissions_with_one_key_at_once_make_one_job(api: Api, rows: Connection) -> None:
    body = {"feature": "echo", "input": {"text": "crowd"}}

    def submit(_: int) -> str:
        response = api.post("/v1/jobs", json=body, headers={"Idempotency-Key": "crowd-1"})
        return str(response.json()["id"])

    with ThreadPoolExecutor(8) as crowd:
        ids = set(crowd.map(submit, range(24)))
    assert len(ids) == 1
    count = rows.execute(
        "SELECT count(*) FROM job_requests WHERE input ->> 'text' = 'crowd'"
    ).fetchone()
    assert count == (1,)


def test_two_accounts_may_use_the_same_key(api: Api, other: Api) -> None:
    body = {"feature": "echo", "input": {"text": "mine"}}
    headers = {"Idempotency-Key": "shared-1"}
    mine = api.post("/v1/jobs", json=body, headers=headers).json()
    theirs = other.post("/v1/jobs", json=body, headers=headers).json()
    assert mine["id"] != theirs["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_an_unfit_idempotency_key_is_refused(api: Api, key: str) -> None:
    response = api.post(
        "/v1/jobs",
        json={"feature": "echo", "input": {"text": "a"}},
        headers={"Idempotency-Key": key.encode()},
    )
    assert response.status_code == 400


def test_reading_a_job_can_wait_for_its_end(api: Api, rows: Connection) -> None:
    job = api.submit()["id"]
    slow = api.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=0.1"})
    assert (slow.json()["status"], slow.headers["preference-applied"]) == ("queued", "wait=0.1")

    def play() -> None:
        end_job(rows, job)
        rows.execute("SELECT pg_notify('tierline_done', %s)", (job,))

    worker = threading.Thread(target=play)
    worker.start()
    answer = api.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=20"})
    worker.join()
    assert answer.json()["status"] == "completed"
    assert "retry-after" not in answer.headers


def test_every_answer_has_an_id_of_its_own(api: Api) -> None:
    answers = [api.get("/v1/jobs"), api.get("/v1/jobs"), api.get("/v1/jobs/x"), api.get("/healthz")]
    assert len({answer.headers["request-id"] for answer in answers}) == 4


def test_a_wait_ends_when_the_job_does(api: Api, rows: Connection) -> None:
    def play() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            row = rows.execute(
                "SELECT job_id FROM job_requests WHERE input ->> 'text' = 'awaited'"
            ).fetchone()
            if row is not None:
                end_job(rows, row[0])
                rows.execute("SELECT pg_notify('tierline_done', %s)", (str(row[0]),))
                return

    worker = threading.Thread(target=play)
    worker.start()
    response = api.post(
        "/v1/jobs",
        json={"feature": "echo", "input": {"text": "awaited"}},
        headers={"Prefer": "respond-async, wait=20"},
    )
    worker.join()
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=20"
    assert response.json()["output"] == {"text": "x"}


def test_a_wait_that_was_too_short_gives_the_job_as_it_is(api: Api) -> None:
    response = api.post(
        "/v1/jobs",
        json={"feature": "echo", "input": {"text": "slow"}},
        headers={"Prefer": "wait=0.05"},
    )
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["preference-applied"] == "wait=0.05"


def test_a_job_that_waits_long_is_to_be_asked_for_less_often(api: Api, rows: Connection) -> None:
    path = f"/v1/jobs/{api.submit()['id']}"
    waits = []
    for age_s in (0, 60, 86_400, -60):  # at last: a database whose clock is ahead
        rows.execute(
            "UPDATE jobs SET created_at = clock_timestamp() - make_interval(secs => %s)"
            " WHERE id = %s",
            (age_s, path.rpartition("/")[2]),
        )
        waits.append(int(api.get(path).headers["retry-after"]))
    assert waits == [1, 6, 15, 1]


def test_an_unchanged_job_is_304_and_a_changed_one_is_not(api: Api, rows: Connection) -> None:
    path = f"/v1/jobs/{api.submit()['id']}"
    first = api.get(path)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    same = api.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (same.status_code, same.headers["etag"], same.content) == (304, etag, b"")
    end_job(rows, path.rpartition("/")[2])
    changed = api.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert "retry-after" not in changed.headers


def test_a_finished_job_that_gains_a_late_cost_changes_its_etag(api: Api, rows: Connection) -> None:
    job_id = api.submit()["id"]
    end_job(rows, job_id)
    path = f"/v1/jobs/{job_id}"
    before = api.get(path)
    assert before.json()["cost_usd"] == "0.000125"
    rows.execute(
        "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)"
        " SELECT id, 1, 2, account_id, 'sample', 'openai:small' FROM jobs WHERE id = %s",
        (job_id,),
    )
    unknown = api.get(path)
    assert (unknown.json()["unknown_cost_calls"], unknown.json()["cost_usd"]) == (1, "0.000125")
    rows.execute(
        "UPDATE calls SET cost_usd = 0.000075, settled_at = clock_timestamp()"
        " WHERE job_id = %s AND number = 2",
        (job_id,),
    )
    late = api.get(path)
    assert (late.json()["unknown_cost_calls"], late.json()["cost_usd"]) == (0, "0.0002")
    assert len({before.headers["etag"], unknown.headers["etag"], late.headers["etag"]}) == 3


def test_a_later_tier_says_that_it_runs_deeper_analysis(api: Api, rows: Connection) -> None:
    job_id = api.submit()["id"]
    rows.execute(
        "UPDATE jobs SET tier = 'frontier', tier_index = 1, queue = 'deeper-analysis',"
        " escalation_reason = 'rule: no' WHERE id = %s",
        (job_id,),
    )
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert job["status_label"] == "running deeper analysis…"
    assert (job["escalated"], job["escalation_reason"]) == (True, "rule: no")
    end_job(rows, job_id)
    assert api.get(f"/v1/jobs/{job_id}").json()["status_label"] is None


def test_the_tier_behind_a_micro_tier_is_no_deeper_analysis(api: Api, rows: Connection) -> None:
    version = add_feature(rows, micro_first())
    submitted = api.submit()["id"]
    row = rows.execute("SELECT account_id FROM jobs WHERE id = %s", (submitted,)).fetchone()
    assert row is not None
    labels = []
    for index, tier in enumerate(("micro", "slm", "frontier")):
        job_id = add_job(rows, row[0], version, tier=tier, tier_index=index)
        labels.append(api.get(f"/v1/jobs/{job_id}").json()["status_label"])
    assert labels == [None, None, "running deeper analysis…"]


def test_another_accounts_job_cannot_be_told_from_none(api: Api, other: Api) -> None:
    job_id = api.submit()["id"]
    for method, path in (
        ("GET", f"/v1/jobs/{job_id}"),
        ("GET", f"/v1/jobs/{job_id}/attempts"),
        ("POST", f"/v1/jobs/{job_id}/cancel"),
        ("POST", f"/v1/jobs/{job_id}/retry"),
    ):
        assert other.send(method, path).status_code == 404
    response = other.post(f"/v1/jobs/{job_id}/feedback", json={"correct": True})
    assert response.status_code == 404
    assert job_id not in other.get("/v1/jobs").text


@pytest.mark.parametrize("job_id", ["nonsense", str(UUID(int=7)), "%00", "a" * 300])
def test_an_unknown_job_is_404(api: Api, job_id: str) -> None:
    assert api.get(f"/v1/jobs/{job_id}").status_code == 404


def test_pages_hold_every_job_once_the_newest_first(api: Api, rows: Connection) -> None:
    add_feature(rows, two_tiers("paged"))
    made = [
        api.post("/v1/jobs", json={"feature": "paged", "input": {"text": str(n)}}).json()["id"]
        for n in range(7)
    ]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        page = api.get("/v1/jobs", params={"feature": "paged", "limit": 3, **more}).json()
        seen += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


def test_lists_can_be_narrowed(api: Api, rows: Connection) -> None:
    done = api.submit()["id"]
    end_job(rows, done)
    jobs = api.get("/v1/jobs", params={"status": "completed", "tier": "slm"}).json()["data"]
    assert done in [job["id"] for job in jobs]
    assert {job["status"] for job in jobs} == {"completed"}
    assert api.get("/v1/jobs", params={"batch_id": str(UUID(int=1))}).json()["data"] == []


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"limit": 0}, "?limit"),
        ({"limit": 201}, "?limit"),
        ({"cursor": "x!"}, "?cursor"),
        ({"cursor": "AAAA"}, "?cursor"),
        ({"status": "done"}, "?status"),
        ({"batch_id": "x"}, "?batch_id"),
    ],
)
def test_an_unfit_query_is_a_problem_that_names_it(
    api: Api, asked: dict[str, Any], path: str
) -> None:
    response = api.get("/v1/jobs", params=asked)
    assert response.status_code == 422
    assert [error["path"] for error in response.json()["errors"]] == [path]


def test_a_waiting_job_is_cancelled_at_once(api: Api) -> None:
    job_id = api.submit()["id"]
    first = api.post(f"/v1/jobs/{job_id}/cancel")
    again = api.post(f"/v1/jobs/{job_id}/cancel")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()) == (200, first.json())


def test_cancelling_a_running_job_is_202_until_it_is_true(api: Api, rows: Connection) -> None:
    job_id = api.submit()["id"]
    rows.execute(
        "UPDATE jobs SET status = 'in_progress', attempts = 1, claim_token = %s WHERE id = %s",
        (uuid4(), job_id),
    )
    response = api.post(f"/v1/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["status"]) == (202, "in_progress")
    end_job(rows, job_id, "cancelled")
    assert api.post(f"/v1/jobs/{job_id}/cancel").status_code == 200


def test_a_failed_job_is_retried_as_a_new_one(api: Api, rows: Connection) -> None:
    job = api.submit("again", metadata={"a": 1})
    end_job(rows, job["id"], "failed")
    retried = api.post(f"/v1/jobs/{job['id']}/retry")
    assert retried.status_code == 202
    assert retried.json()["id"] != job["id"]
    assert (retried.json()["status"], retried.json()["metadata"]) == ("queued", {"a": 1})
    assert retried.headers["location"] == f"/v1/jobs/{retried.json()['id']}"


@pytest.mark.parametrize("status", ["queued", "completed"])
def test_a_job_that_waits_or_is_answered_is_not_retried(
    api: Api, rows: Connection, status: str
) -> None:
    job_id = api.submit()["id"]
    if status == "completed":
        end_job(rows, job_id)
    assert api.post(f"/v1/jobs/{job_id}/retry").status_code == 409


def test_attempts_show_their_calls_and_what_they_cost(api: Api, rows: Connection) -> None:
    job_id = api.submit()["id"]
    assert api.get(f"/v1/jobs/{job_id}/attempts").json()["data"] == []
    end_job(rows, job_id)
    (attempt,) = api.get(f"/v1/jobs/{job_id}/attempts").json()["data"]
    assert (attempt["number"], attempt["verdict"], attempt["cost_usd"]) == (1, "passed", "0.000125")
    (call,) = attempt["calls"]
    assert (call["purpose"], call["model"], call["asked"]) == ("answer", "small-1", "openai:small")
    assert call["usage"]["input_tokens"] == 10
    assert call["usage"]["cached_input_tokens"] is None
    assert call["usage"]["cache_write_1h_tokens"] is None
    assert (call["service_tier"], call["provider_request_id"]) == (None, None)


def test_feedback_is_kept_when_it_fits_the_feature(api: Api, rows: Connection) -> None:
    job_id = api.submit()["id"]
    path = f"/v1/jobs/{job_id}/feedback"
    assert api.post(path, json={"correct": True}).status_code == 409
    end_job(rows, job_id)
    kept = api.post(path, json={"correct": False, "expected": {"text": "y"}, "comment": "no"})
    assert kept.status_code == 201
    assert kept.json()["expected"] == {"text": "y"}
    unfit = api.post(path, json={"expected": {"text": 3}})
    assert unfit.json()["errors"][0]["path"] == "/expected/text"
    assert api.post(path, json={}).status_code == 422


def test_a_new_version_of_a_feature_is_what_the_next_job_runs(api: Api) -> None:
    form = (
        "feature: versions\ninstructions: {}\ninput: {{type: object, required: [{}]}}\n"
        "output: {{type: string}}\ntiers: [{{name: slm, models: ['local:m']}}]\n"
    )
    headers = {"Content-Type": "application/yaml"}
    api.post("/v1/features", content=form.format("one", "a"), headers=headers)
    first = api.post("/v1/jobs", json={"feature": "versions", "input": {"a": 1}})
    assert first.json()["feature_version"] == 1
    api.post("/v1/features", content=form.format("two", "b"), headers=headers)
    # What fits the new version only is taken at once, and what fitted the old one only is refused.
    second = api.post("/v1/jobs", json={"feature": "versions", "input": {"b": 1}})
    assert (second.status_code, second.json()["feature_version"]) == (202, 2)
    assert api.post("/v1/jobs", json={"feature": "versions", "input": {"a": 1}}).status_code == 422
