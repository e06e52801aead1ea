"""The road of a job through the whole product and through what breaks on the way, and its webhooks
at a real receiver.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from standardwebhooks.webhooks import Webhook

from tests.support.database.rows import TWO_TIERS
from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.fake_servers.webhook_receiver import Receiver, hang, receiving, status
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.up import RunningUp, only, run_up
from tests.support.waiting import DEADLINE_S, wait_until

ENDED = {"completed", "failed", "cancelled", "expired"}
LEASE_S = 5.0


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def up(
    models: ModelServer, tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome
) -> Iterator[RunningUp]:
    folder: Path = tmp_path_factory.mktemp("road")
    env = {
        "OPENAI_BASE_URL": models.url,
        "OPENAI_API_KEY": "not-a-real-one",
        "TIERLINE_LOCAL_URL": "http://127.0.0.1:9/v1",
        "TIERLINE_LEASE_S": str(LEASE_S),
        "TIERLINE_BEAT_S": "1",
        "TIERLINE_HINT_LOST_S": "2",
        "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    roles = only(folder, "api", "dispatcher", "slm", "deeper", "webhooks")
    with run_up(make_home(folder / "home"), *roles, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def api(up: RunningUp) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {up.line['api_key']}"}
    with httpx.Client(base_url=str(up.line["api"]), headers=key, timeout=DEADLINE_S) as client:
        feature = TWO_TIERS.format(name="echo")
        applied = client.post(
            "/v1/features", content=feature, headers={"Content-Type": "application/yaml"}
        )
        assert applied.status_code < 300, applied.text
        yield client


@pytest.fixture
def receiver(models: ModelServer) -> Iterator[Receiver]:
    """A receiver of webhooks; every job escalates meanwhile."""
    models.answer = small_is_wrong
    with receiving() as one:
        yield one


def small_is_wrong(request: dict[str, Any]) -> str:
    return "{}" if request["model"] == "small" else '{"text": "hello"}'


def submit(api: httpx.Client, text: str = "hello", **headers: str) -> dict[str, Any]:
    answer = api.post(
        "/v1/jobs", json={"feature": "echo", "input": {"text": text}}, headers=headers
    )
    assert answer.status_code in {200, 202}, answer.text
    return dict(answer.json())


def job(api: httpx.Client, found: dict[str, Any]) -> dict[str, Any]:
    return dict(api.get(f"/v1/jobs/{found['id']}").json())


def ended(api: httpx.Client, found: dict[str, Any], timeout_s: float = 60) -> dict[str, Any]:
    return wait_until(
        lambda: now if (now := job(api, found))["status"] in ENDED else None,
        timeout_s,
        f"job {found['id']} to end",
    )


def attempts(api: httpx.Client, found: dict[str, Any]) -> list[dict[str, Any]]:
    # Right after an outage a pooled connection may still be a dead one: 503, try again.
    answer = wait_until(
        lambda: one if (one := api.get(f"/v1/jobs/{found['id']}/attempts")).is_success else None,
        DEADLINE_S,
        "the attempts to be readable",
    )
    return list(answer.json()["data"])


def kill(up: RunningUp, name: str) -> None:
    """kill -9 of one process of the product and what it started; the supervisor starts it again."""
    pid = up.pid_of(name)
    assert pid is not None
    psutil.Process(pid).send_signal(signal.SIGKILL)


def gate(models: ModelServer) -> tuple[threading.Event, threading.Event]:
    """Answers wait until the second event is set; the first says that one is waiting."""
    asked, go = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> Reply:
        asked.set()
        return Reply(text='{"text": "hello"}', delay_s=0.0 if go.is_set() else 3.0)

    models.answer = answer
    return asked, go


def test_a_job_is_answered_by_the_first_tier_within_its_wait(
    api: httpx.Client, models: ModelServer
) -> None:
    models.answer = lambda _: '{"text": "hello"}'
    submitted = submit(api, Prefer="wait=20")
    assert (submitted["status"], submitted["tier"], submitted["output"]) == (
        "completed",
        "slm",
        {"text": "hello"},
    )


def test_a_failed_check_says_deeper_analysis_while_it_waits_and_while_it_runs(
    api: httpx.Client, models: ModelServer
) -> None:
    running = threading.Event()

    def answer(body: dict[str, Any]) -> Reply:
        if body["model"] == "small":
            return Reply(text="no json at all")
        running.set()
        return Reply(text='{"text": "hello"}', delay_s=1.0)

    models.answer = answer
    submitted = submit(api)
    labels = []
    while (now := job(api, submitted))["status"] not in ENDED:
        if now["tier"] == "frontier":
            labels.append((now["status"], now["status_label"]))
    assert {label for _, label in labels} == {"running deeper analysis…"}
    assert "in_progress" in {status for status, _ in labels}
    assert (now["status"], now["escalated"]) == ("completed", True)
    assert [attempt["verdict"] for attempt in attempts(api, submitted)] == ["malformed", "passed"]
    assert running.is_set()


@pytest.mark.parametrize("name", ["slm", "dispatcher", "api", "valkey", "postgres"])
def test_kill_9_of_any_process_leaves_every_job_finished_once(
    api: httpx.Client, up: RunningUp, models: ModelServer, name: str
) -> None:
    models.answer = lambda _: Reply(text='{"text": "hello"}', delay_s=0.3)
    jobs = [submit(api, f"{name} {number}") for number in range(30)]
    kill(up, name)

    def all_ended() -> list[dict[str, Any]] | None:
        try:
            found = [job(api, one) for one in jobs]
        except (httpx.HTTPError, ValueError):
            return None
        done = all(one.get("status") in ENDED for one in found)
        return found if done else None

    found = wait_until(all_ended, 90, f"every job to end after kill -9 of {name}", every_s=0.3)
    assert Counter(one["status"] for one in found) == {"completed": 30}
    assert all(one["output"] == {"text": "hello"} for one in found)
    for one in found:
        passed = [attempt for attempt in attempts(api, one) if attempt["verdict"] == "passed"]
        assert len(passed) == 1


def test_a_lost_workers_job_is_taken_up_again_and_says_what_happened(
    api: httpx.Client, up: RunningUp, models: ModelServer
) -> None:
    asked, go = gate(models)
    submitted = submit(api)
    assert asked.wait(DEADLINE_S)
    kill(up, "slm")
    go.set()
    done = ended(api, submitted)
    assert done["status"] == "completed"
    assert [one["verdict"] for one in attempts(api, submitted)] == ["worker_lost", "passed"]
    assert done["unknown_cost_calls"] >= 1


def test_a_broker_that_forgets_everything_loses_no_job(
    api: httpx.Client, up: RunningUp, models: ModelServer
) -> None:
    models.answer = lambda _: Reply(text='{"text": "hello"}', delay_s=0.05)
    jobs = [submit(api, f"flushed {number}") for number in range(40)]
    with redis.Redis.from_url(str(up.line["redis_url"])) as broker:
        for _ in range(5):
            broker.flushall()
    assert {ended(api, one)["status"] for one in jobs} == {"completed"}


def test_submitting_works_while_the_broker_is_frozen_and_the_jobs_run_afterwards(
    api: httpx.Client, up: RunningUp, models: ModelServer
) -> None:
    models.answer = lambda _: '{"text": "hello"}'
    pid = up.pid_of("valkey")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        jobs = [submit(api, f"frozen {number}") for number in range(5)]
        assert {job(api, one)["status"] for one in jobs} == {"queued"}
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {ended(api, one)["status"] for one in jobs} == {"completed"}


def test_a_late_answer_of_a_frozen_worker_does_not_win_and_its_cost_is_booked(
    api: httpx.Client, up: RunningUp, models: ModelServer
) -> None:
    first = threading.Event()

    def answer(_: dict[str, Any]) -> Reply:
        if not first.is_set():
            first.set()
            return Reply(text='{"text": "late"}', delay_s=0.5)
        return Reply(text='{"text": "in time"}')

    models.answer = answer
    pid = up.pid_of("slm")
    assert pid is not None
    submitted = submit(api)
    assert first.wait(DEADLINE_S)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: attempts(api, submitted)[0]["verdict"] == "worker_lost",
            LEASE_S + 20,
            "the frozen worker's lease to be found lost",
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    done = ended(api, submitted)
    assert done["output"] == {"text": "in time"}
    wait_until(
        lambda: attempts(api, submitted)[0]["calls"][0]["settled_at"],
        DEADLINE_S,
        "the late call to be booked",
    )


def test_the_same_idempotency_key_is_the_same_job(api: httpx.Client, models: ModelServer) -> None:
    models.answer = lambda _: '{"text": "hello"}'
    key = {"Idempotency-Key": "road-1"}
    ids = {submit(api, "same", **key)["id"] for _ in range(5)}
    assert len(ids) == 1
    other = api.post("/v1/jobs", json={"feature": "echo", "input": {"text": "other"}}, headers=key)
    assert other.status_code == 422


def submit_to(api: httpx.Client, url: str | None = None) -> str:
    """A job whose webhooks go to that URL; its id."""
    body = {"feature": "echo", "input": {"text": "hello"}, "webhook_url": url}
    answer = api.post("/v1/jobs", json=body)
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def heard(receiver: Receiver, secret: str) -> set[tuple[str, str]]:
    """(event, job) of everything that came, each with a signature that holds."""
    found = set()
    for request in list(receiver.requests):
        body = Webhook(secret).verify(request.body, request.headers)
        found.add((body["type"], body["data"]["id"]))
    return found


def test_a_jobs_receiver_hears_of_the_escalation_and_of_the_end(
    api: httpx.Client, receiver: Receiver
) -> None:
    secret = api.get("/v1/webhook-secret").json()["secret"]

    job_id = submit_to(api, receiver.url)

    both = {("job.escalated", job_id), ("job.completed", job_id)}
    wait_until(lambda: heard(receiver, secret) == both, DEADLINE_S, "both events")
    escalated, completed = sorted(
        (json.loads(request.body) for request in receiver.requests),
        key=lambda body: body["timestamp"],
    )
    assert escalated["data"]["status_label"] == "running deeper analysis…"
    assert completed["data"]["status"] == "completed"
    assert completed["data"]["tier"] == "frontier"


def test_an_endpoint_that_asks_for_outputs_gets_them(api: httpx.Client, receiver: Receiver) -> None:
    body = {"url": receiver.url, "events": ["job.completed"], "include": ["output"]}
    made = api.post("/v1/webhook-endpoints", json=body).json()

    job_id = submit_to(api)

    expected = {("job.completed", job_id)}
    wait_until(lambda: heard(receiver, made["secret"]) == expected, DEADLINE_S, "the end")
    assert json.loads(receiver.requests[0].body)["data"]["output"] == {"text": "hello"}
    api.delete(f"/v1/webhook-endpoints/{made['id']}").raise_for_status()


def test_a_receiver_that_hangs_holds_up_no_other(api: httpx.Client, receiver: Receiver) -> None:
    receiver.manner = hang
    secret = api.get("/v1/webhook-secret").json()["secret"]
    with receiving() as healthy:
        stuck = [submit_to(api, receiver.url) for _ in range(5)]
        wait_until(lambda: receiver.held == 2, DEADLINE_S, "two calls to hang")
        jobs = [submit_to(api, healthy.url) for _ in range(5)]

        expected = {(event, job) for job in jobs for event in ("job.escalated", "job.completed")}
        wait_until(
            lambda: heard(healthy, secret) == expected, DEADLINE_S, "the healthy one's events"
        )
        assert receiver.most_held == 2
    receiver.manner = status(410)
    receiver.released.set()
    for job_id in stuck:
        api.post(f"/v1/jobs/{job_id}/cancel")


def test_a_webhook_whose_worker_was_killed_in_the_call_is_delivered(
    up: RunningUp, api: httpx.Client, receiver: Receiver
) -> None:
    receiver.manner = hang
    job_id = submit_to(api, receiver.url)
    wait_until(lambda: receiver.held == 2, DEADLINE_S, "both of its events to hang")
    killed = up.pid_of("webhooks")
    assert killed is not None

    receiver.manner = status(204)
    os.kill(killed, signal.SIGKILL)

    def delivered() -> bool:
        listed = api.get("/v1/webhook-deliveries", params={"job_id": job_id}).json()["data"]
        return [(row["status"], row["tries"]) for row in listed] == [("delivered", 2)] * 2

    wait_until(delivered, DEADLINE_S, "both to be delivered by the second try")
    receiver.released.set()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2


def test_a_failed_try_comes_again_after_five_seconds(api: httpx.Client, receiver: Receiver) -> None:
    receiver.manner = status(500)
    job_id = submit_to(api, receiver.url)
    wait_until(lambda: len(receiver.requests) >= 2, DEADLINE_S, "the first tries")
    receiver.manner = status(204)

    def delivered() -> bool:
        listed = api.get("/v1/webhook-deliveries", params={"job_id": job_id}).json()["data"]
        return [row["status"] for row in listed] == ["delivered", "delivered"]

    wait_until(delivered, DEADLINE_S, "both to be delivered")
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2
