"""Webhooks of the whole product: a job escalates and ends, and a real receiver hears of both."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.database.rows import TWO_TIERS
from tests.support.fake_servers.model_server import ModelServer
from tests.support.fake_servers.webhook_receiver import Receiver, hang, receiving, status
from tests.support.processes.up import RunningUp, run_up
from tests.support.waiting import DEADLINE_S, wait_until


def small_is_wrong(request: dict[str, Any]) -> str:
    return "{}" if request["model"] == "small" else '{"text": "hello"}'


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    home: Path = tmp_path_factory.mktemp("webhooks") / "home"
    with ModelServer(small_is_wrong) as models:
        env = {
            "OPENAI_BASE_URL": models.url,
            "OPENAI_API_KEY": "not-a-real-one",
            "TIERLINE_LOCAL_URL": "http://127.0.0.1:9/v1",
            "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
            "TIERLINE_LEASE_S": "7",
        }
        with run_up(home, "--no-flower", env=env) as running:
            yield running


@pytest.fixture(scope="module")
def client(up: RunningUp) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {up.line['api_key']}"}
    with httpx.Client(base_url=str(up.line["api"]), headers=headers, trust_env=False) as one:
        applied = one.post(
            "/v1/features",
            content=TWO_TIERS.format(name="echo"),
            headers={"Content-Type": "application/yaml"},
        )
        assert applied.status_code in (200, 201), applied.text
        yield one


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def submit(client: httpx.Client, url: str | None = None) -> str:
    body = {"feature": "echo", "input": {"text": "hello"}, "webhook_url": url}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["id"])


def heard(receiver: Receiver, secret: str) -> set[tuple[str, str]]:
    """(event, job) of everything that came, each with a signature that holds."""
    found = set()
    for request in list(receiver.requests):
        body = Webhook(secret).verify(request.body, request.headers)
        found.add((body["type"], body["data"]["id"]))
    return found


def test_a_jobs_receiver_hears_of_the_escalation_and_of_the_end(
    client: httpx.Client, receiver: Receiver
) -> None:
    secret = client.get("/v1/webhook-secret").json()["secret"]

    job_id = submit(client, receiver.url)

    both = {("job.escalated", job_id), ("job.completed", job_id)}
    wait_until(lambda: heard(receiver, secret) == both, DEADLINE_S, "both events")
    escalated, completed = sorted(
        (json.loads(request.body) for request in receiver.requests),
        key=lambda body: body["timestamp"],
    )
    assert escalated["data"]["status_label"] == "running deeper analysis…"
    assert completed["data"]["status"] == "completed"
    assert completed["data"]["tier"] == "frontier"


def test_an_endpoint_that_asks_for_outputs_gets_them(
    client: httpx.Client, receiver: Receiver
) -> None:
    body = {"url": receiver.url, "events": ["job.completed"], "include": ["output"]}
    made = client.post("/v1/webhook-endpoints", json=body).json()

    job_id = submit(client)

    expected = {("job.completed", job_id)}
    wait_until(lambda: heard(receiver, made["secret"]) == expected, DEADLINE_S, "the end")
    assert json.loads(receiver.requests[0].body)["data"]["output"] == {"text": "hello"}
    client.delete(f"/v1/webhook-endpoints/{made['id']}").raise_for_status()


def test_a_receiver_that_hangs_holds_up_no_other(client: httpx.Client, receiver: Receiver) -> None:
    receiver.manner = hang
    secret = client.get("/v1/webhook-secret").json()["secret"]
    with receiving() as healthy:
        stuck = [submit(client, receiver.url) for _ in range(5)]
        wait_until(lambda: receiver.held == 2, DEADLINE_S, "two calls to hang")
        jobs = [submit(client, healthy.url) for _ in range(5)]

        expected = {(event, job) for job in jobs for event in ("job.escalated", "job.completed")}
        wait_until(
            lambda: heard(healthy, secret) == expected, DEADLINE_S, "the healthy one's events"
        )
        assert receiver.most_held == 2
    receiver.manner = status(410)
    receiver.released.set()
    for job_id in stuck:
        client.post(f"/v1/jobs/{job_id}/cancel")


def test_a_webhook_whose_worker_was_killed_in_the_call_is_delivered(
    up: RunningUp, client: httpx.Client, receiver: Receiver
) -> None:
    receiver.manner = hang
    job_id = submit(client, receiver.url)
    wait_until(lambda: receiver.held == 2, DEADLINE_S, "both of its events to hang")
    killed = up.pid_of("webhooks")
    assert killed is not None

    receiver.manner = status(204)
    os.kill(killed, signal.SIGKILL)

    def delivered() -> bool:
        listed = client.get("/v1/webhook-deliveries", params={"job_id": job_id}).json()["data"]
        return [(row["status"], row["tries"]) for row in listed] == [("delivered", 2)] * 2

    wait_until(delivered, DEADLINE_S, "both to be delivered by the second try")
    receiver.released.set()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2


def test_a_failed_try_comes_again_after_five_seconds(
    client: httpx.Client, receiver: Receiver
) -> None:
    receiver.manner = status(500)
    job_id = submit(client, receiver.url)
    wait_until(lambda: len(receiver.requests) >= 2, DEADLINE_S, "the first tries")
    receiver.manner = status(204)

    def delivered() -> bool:
        listed = client.get("/v1/webhook-deliveries", params={"job_id": job_id}).json()["data"]
        return [row["status"] for row in listed] == ["delivered", "delivered"]

    wait_until(delivered, DEADLINE_S, "both to be delivered")
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2
