"""Server-sent events of a job and of an account's jobs."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.api.event_stream import Event, escalate, finish, following, start
from tests.support.api.served import Api, serving
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_key, revoke_key

Connection = psycopg.Connection[Any]


def types(events: Iterator[Event]) -> list[str]:
    return [event.type.removeprefix("job.") for event in events]


def test_a_stream_tells_a_jobs_whole_road_and_then_ends(api: Api, rows: Connection) -> None:
    job = api.submit()["id"]
    with following(api, f"/v1/jobs/{job}/events") as events:
        queued = next(events)
        assert (queued.type, queued.job["id"], queued.job["status"]) == (
            "job.queued",
            job,
            "queued",
        )
        start(rows, job, 1)
        started = next(events)
        assert (started.type, started.job["tier"], started.job["attempt"]) == (
            *("job.started", "slm"),
            1,
        )
        escalate(rows, job, 1)
        escalated = next(events)
        assert escalated.type == "job.escalated"
        assert escalated.job["reason"] == "schema: total is missing"
        assert escalated.job["status_label"] == "running deeper analysis…"
        start(rows, job, 2, "frontier")
        assert next(events).job["tier"] == "frontier"
        finish(rows, job, 2)
        ended = next(events)
        assert ended.type == "job.completed"
        assert ended.job["job"] == api.get(f"/v1/jobs/{job}").json()
        assert list(events) == []


def test_a_job_that_has_ended_is_told_in_whole(api: Api, rows: Connection) -> None:
    job = api.submit()["id"]
    start(rows, job, 1)
    finish(rows, job, 1)
    with following(api, f"/v1/jobs/{job}/events") as events:
        assert types(events) == ["queued", "started", "completed"]


def test_a_stream_goes_on_after_the_last_event_that_was_read(api: Api, rows: Connection) -> None:
    job = api.submit()["id"]
    start(rows, job, 1)
    with following(api, f"/v1/jobs/{job}/events") as events:
        next(events)
        last = next(events)
    escalate(rows, job, 1)
    start(rows, job, 2, "frontier")
    finish(rows, job, 2)
    with following(api, f"/v1/jobs/{job}/events", last.id) as events:
        assert types(events) == ["escalated", "started", "completed"]


def test_there_is_nothing_to_come_back_for_after_the_end(api: Api, rows: Connection) -> None:
    job = api.submit()["id"]
    start(rows, job, 1)
    finish(rows, job, 1)
    with following(api, f"/v1/jobs/{job}/events") as events:
        *_, last = events
    again = api.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(last.id)})
    assert again.status_code == 204


def test_a_stream_with_a_time_limit_ends_then(api: Api) -> None:
    job = api.submit()["id"]
    with following(api, f"/v1/jobs/{job}/events", params={"timeout_s": 0}) as events:
        assert types(events) == ["queued"]


def test_another_accounts_job_and_one_that_does_not_exist_are_alike(api: Api, other: Api) -> None:
    job = api.submit()["id"]
    assert other.get(f"/v1/jobs/{job}/events").status_code == 404
    assert api.get(f"/v1/jobs/{new_id()}/events").status_code == 404


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "1" * 30])
def test_an_id_that_is_none_of_ours_is_refused(api: Api, last: str) -> None:
    job = api.submit()["id"]
    answer = api.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": last})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "header Last-Event-ID"
    if last != "1.5":
        assert api.get("/v1/events", headers={"Last-Event-ID": last}).status_code == 422


def test_a_submission_can_be_answered_with_the_jobs_events(api: Api, rows: Connection) -> None:
    body = {"feature": "echo", "input": {"text": "followed"}}
    headers = {"Idempotency-Key": "followed-1"}
    request = {"method": "POST", "json": body, "headers": headers}
    with following(api, "/v1/jobs", **request) as events:
        queued = next(events)
        start(rows, queued.job["id"], 1)
        assert next(events).type == "job.started"
    finish(rows, queued.job["id"], 1)
    with following(api, "/v1/jobs", **request) as events:
        received = list(events)
    assert [event.type for event in received] == ["job.queued", "job.started", "job.completed"]
    assert {event.job["id"] for event in received} == {queued.job["id"]}


def test_a_key_that_may_only_submit_sees_no_content(api: Api, rows: Connection) -> None:
    submitter = api.as_(create_key(rows, "default", ("submit",)).key)
    body = {"feature": "echo", "input": {"text": "unseen"}}
    with following(submitter, "/v1/jobs", method="POST", json=body) as events:
        job = next(events).job["id"]
        start(rows, job, 1)
        next(events)
        escalate(rows, job, 1)
        assert "reason" not in next(events).job
        start(rows, job, 2, "frontier")
        next(events)
        finish(rows, job, 2)
        ended = next(events).job["job"]
    assert ended["status"] == "completed"
    assert not {"output", "metadata", "escalation_reason"} & ended.keys()


def test_a_wrong_submission_is_refused_as_without_a_stream(api: Api) -> None:
    answer = api.post(
        "/v1/jobs",
        json={"feature": "echo", "input": {}},
        headers={"Accept": "text/event-stream"},
    )
    assert answer.status_code == 422


def test_nothing_is_sent_to_a_revoked_key(api: Api, rows: Connection) -> None:
    made = create_key(rows, "default", ("submit", "read"))
    follower = api.as_(made.key)
    job = api.submit()["id"]
    with following(follower, f"/v1/jobs/{job}/events") as events:
        assert next(events).type == "job.queued"
        revoke_key(rows, made.row["id"])
        wait_until(
            lambda: follower.get("/v1/jobs").status_code == 401, DEADLINE_S, "the key to be gone"
        )
        start(rows, job, 1)
        assert list(events) == []


def test_a_key_has_a_bounded_number_of_streams(
    api: Api, rows: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_MAX_STREAMS", "3")
    settings.cache_clear()
    keys = [create_key(rows, "default", ("submit", "read")).key for _ in range(2)]
    with serving() as url, contextlib.ExitStack() as opened:
        first, second = (Api(url, key) for key in keys)
        job = first.submit()["id"]
        path = f"/v1/jobs/{job}/events"
        kept = [opened.enter_context(following(first, path)) for _ in range(2)]
        assert [next(events).type for events in kept] == ["job.queued"] * 2
        with following(first, path) as events:
            next(events)
            refused = first.get(path)
            assert refused.status_code == 429
            assert "TIERLINE_MAX_STREAMS" in refused.json()["detail"]
            assert int(refused.headers["retry-after"]) >= 1
            body = {"feature": "echo", "input": {"text": "no room"}}
            sent = first.post("/v1/jobs", json=body, headers={"Accept": "text/event-stream"})
            assert sent.status_code == 429
            count = "SELECT count(*) FROM job_requests WHERE input ->> 'text' = 'no room'"
            assert rows.execute(count).fetchone() == (0,)
            with following(second, path) as others:
                next(others)
        now = {"timeout_s": 0}
        wait_until(
            lambda: first.get(path, params=now).status_code == 200, DEADLINE_S, "a free place"
        )
    settings.cache_clear()


def test_streams_end_when_the_process_stops(api: Api, rows: Connection) -> None:
    settings.cache_clear()
    key = create_key(rows, "default", ("submit", "read")).key
    received: list[str] = []

    def follow(client: Api, path: str) -> None:
        with following(client, path) as events:
            received.extend(event.type for event in events)

    with serving() as url:
        client = Api(url, key)
        path = f"/v1/jobs/{client.submit()['id']}/events"
        reading = threading.Thread(target=follow, args=(client, path))
        reading.start()
        wait_until(lambda: bool(received), DEADLINE_S, "the first event")
        asked_s = time.monotonic()
    reading.join(DEADLINE_S)
    assert time.monotonic() - asked_s < DEADLINE_S  # it did not end by the join's own deadline
    assert received == ["job.queued"]


def test_an_accounts_stream_tells_of_all_its_jobs_and_of_no_other(
    api: Api, other: Api, rows: Connection
) -> None:
    running = api.submit()["id"]
    start(rows, running, 1)
    with following(api, "/v1/events") as events:
        opened(api, events)
        theirs = other.submit()["id"]
        finish(rows, running, 1)
        assert "job" not in until(events, running, "job.completed")[-1].job
        mine = api.submit()["id"]
        start(rows, mine, 1)
        escalate(rows, mine, 1)
        kinds = until(events, mine, "job.escalated")
        assert theirs not in {event.job["id"] for event in kinds}
        assert [event.type for event in kinds if event.job["id"] == mine] == [
            *("job.queued", "job.started", "job.escalated")
        ]
        assert api.post(f"/v1/jobs/{mine}/cancel").status_code == 200
        assert until(events, mine, "job.cancelled")


def opened(api: Api, events: Iterator[Event]) -> None:
    """Wait until the account's stream tells what happens."""
    received: list[Event] = []
    reading = threading.Thread(target=lambda: received.append(next(events)))
    reading.start()

    def seen() -> bool:
        if not received:
            api.submit("is it open?")
        return bool(received)

    wait_until(seen, DEADLINE_S, "the stream to tell of a job")
    reading.join()


def until(events: Iterator[Event], job: str, kind: str) -> list[Event]:
    """The events up to that one."""
    received: list[Event] = []
    for event in events:
        received.append(event)
        if (event.job["id"], event.type) == (job, kind):
            return received
    raise AssertionError(f"the stream ended without {kind}")


def test_an_accounts_stream_goes_on_where_it_was_left(api: Api, rows: Connection) -> None:
    waiting = api.submit()["id"]
    with following(api, "/v1/events") as events:
        opened(api, events)
        mark = api.submit()["id"]
        last = until(events, mark, "job.queued")[-1]
    start(rows, waiting, 1)
    finish(rows, waiting, 1)
    later = api.submit()["id"]
    with following(api, "/v1/events", last.id) as events:
        received = until(events, later, "job.queued")
    assert [event.type for event in received if event.job["id"] == waiting][-2:] == [
        *("job.started", "job.completed")
    ]
    seen = [(event.job["id"], event.type, event.job["attempt"]) for event in received]
    assert len(seen) == len(set(seen))


def test_rows_of_batches_are_not_in_an_accounts_stream(api: Api) -> None:
    with following(api, "/v1/events") as events:
        opened(api, events)
        batch = api.post("/v1/batches", json={"feature": "echo"}).json()["id"]
        part = b'{"input": {"text": "a row"}}\n'
        api.send(
            "PUT",
            f"/v1/batches/{batch}/parts/1",
            content=part,
            headers={"Content-Type": "application/x-ndjson"},
        )
        mark = api.submit()["id"]
        assert {event.job["batch_id"] for event in until(events, mark, "job.queued")} == {None}
