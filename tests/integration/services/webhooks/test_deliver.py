"""Delivering to a real receiver: signatures, retries, receivers that hang, lost workers."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.database.rows import add_account
from tests.support.fake_servers.webhook_receiver import Receiver, hang, receiving, status
from tests.support.scenes.webhooks import NoLeases, Scene
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.webhooks.deliver import deliver
from tierline.services.webhooks.dispatch import choose_due
from tierline.services.webhooks.endpoints import add_endpoint, rotate_secret
from tierline.storage.webhooks import deliveries
from tierline.webhooks.events import webhook_id
from tierline.webhooks.schedule import MOST_TRIES


def verified(receiver: Receiver, secret: str, index: int = -1) -> dict[str, Any]:
    """The body of a request whose signature holds."""
    request = receiver.requests[index]
    body: dict[str, Any] = Webhook(secret).verify(request.body, request.headers)
    return body


def account_secret(scene: Scene) -> str:
    row = scene.db.execute(
        "SELECT webhook_secret FROM accounts WHERE id = %s", (scene.account,)
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_jobs_own_webhook_is_signed_with_the_accounts_secret(
    scene: Scene, receiver: Receiver
) -> None:
    job_id = scene.end_job(url=receiver.url)

    (delivery_id,) = scene.deliver_due()

    body = verified(receiver, account_secret(scene))
    assert body["data"]["id"] == str(job_id)
    assert receiver.requests[0].headers["webhook-id"] == webhook_id(delivery_id)
    row = scene.row(delivery_id)
    assert (row["status"], row["tries"], row["last_status"]) == ("delivered", 1, 204)
    assert row["ended_at"] is not None
    assert bytes(row["body"]) == receiver.requests[0].body
    assert scene.deliver_due() == []


def test_an_endpoints_webhook_is_signed_with_its_own_secret(
    scene: Scene, receiver: Receiver
) -> None:
    _, secret = scene.add_endpoint(receiver.url)
    job_id = scene.end_job()

    scene.deliver_due()

    assert verified(receiver, secret)["data"]["id"] == str(job_id)


def test_both_secrets_sign_while_they_overlap_and_the_new_one_alone_after(
    scene: Scene, receiver: Receiver
) -> None:
    endpoint_id, old = scene.add_endpoint(receiver.url)
    _, new = rotate_secret(scene.db, scene.account, endpoint_id, overlap_hours=1)
    scene.end_job()
    scene.deliver_due()

    assert verified(receiver, old) == verified(receiver, new)
    signatures = receiver.requests[0].headers["webhook-signature"].split(" ")
    assert [one.partition(",")[0] for one in signatures] == ["v1", "v1"]

    scene.db.execute("UPDATE webhook_endpoints SET old_secret_until = clock_timestamp()")
    scene.end_job()
    scene.deliver_due()

    assert len(receiver.requests[1].headers["webhook-signature"].split(" ")) == 1
    verified(receiver, new)


def test_a_failed_try_comes_again_under_the_same_id_with_the_same_bytes_signed_afresh(
    scene: Scene, receiver: Receiver
) -> None:
    receiver.manner = status(500)
    scene.end_job(url=receiver.url)
    (delivery_id,) = scene.deliver_due()
    row = scene.row(delivery_id)
    assert (row["status"], row["last_status"]) == ("pending", 500)
    assert 0 < scene.wait_s(delivery_id) <= 5.5
    assert scene.choose() == []

    receiver.manner = status(200)
    scene.forward(6)
    assert scene.deliver_due() == [delivery_id]

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verified(receiver, account_secret(scene), 0)
    verified(receiver, account_secret(scene), 1)
    assert scene.row(delivery_id)["status"] == "delivered"


def test_the_last_try_ends_in_failed_which_stays_listed(scene: Scene, receiver: Receiver) -> None:
    receiver.manner = status(503)
    scene.end_job(url=receiver.url)
    for _ in range(MOST_TRIES):
        (delivery_id,) = scene.deliver_due()
        scene.forward(86_400 * 1.2)

    assert scene.deliver_due() == []
    row = scene.row(delivery_id)
    assert (row["status"], row["tries"], row["last_status"]) == ("failed", MOST_TRIES, 503)
    assert len(receiver.requests) == MOST_TRIES


def test_a_retry_after_puts_the_next_try_off(scene: Scene, receiver: Receiver) -> None:
    receiver.manner = status(429, retry_after="1800")
    scene.end_job(url=receiver.url)

    (delivery_id,) = scene.deliver_due()

    assert 1700 < scene.wait_s(delivery_id) <= 1800


def test_a_second_hint_for_one_delivery_does_nothing(scene: Scene, receiver: Receiver) -> None:
    scene.end_job(url=receiver.url)
    (delivery_id,) = scene.choose()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(scene.deliver, [delivery_id] * 8))

    assert len(receiver.requests) == 1


def test_a_delivery_whose_worker_was_lost_in_the_call_goes_out_again(
    scene: Scene, receiver: Receiver
) -> None:
    """At least once: the first worker sent it, and its end was never written."""
    scene.end_job(url=receiver.url)
    (delivery_id,) = scene.choose()
    receiver.manner = hang
    with ThreadPoolExecutor(1) as threads:
        lost = threads.submit(scene.deliver, delivery_id)
        wait_until(lambda: receiver.requests, DEADLINE_S, "the first try to arrive")
        (token,) = deliveries.in_flight_tokens(scene.db)
        deliveries.lost(scene.db, token)

        receiver.manner = status(200)
        assert scene.deliver_due() == [delivery_id]
        receiver.released.set()
        lost.result(timeout=DEADLINE_S)

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    row = scene.row(delivery_id)
    assert (row["status"], row["tries"], row["last_status"]) == ("delivered", 2, 200)


def test_a_receiver_that_hangs_holds_two_calls_and_nobody_else(
    scene: Scene, receiver: Receiver
) -> None:
    receiver.manner = hang
    with receiving() as healthy, ThreadPoolExecutor(4) as threads:
        for _ in range(6):
            scene.end_job(url=receiver.url)
        held = [threads.submit(scene.deliver, one) for one in scene.choose()]
        wait_until(lambda: receiver.held == 2, DEADLINE_S, "both calls to hang")
        for _ in range(6):
            scene.end_job(url=healthy.url)

        def all_arrived() -> bool:
            scene.deliver_due()
            return len(healthy.requests) == 6

        wait_until(all_arrived, DEADLINE_S, "the healthy receiver to get its six")
        assert receiver.most_held == len(held) == 2
        receiver.released.set()
        for one in held:
            one.result(timeout=DEADLINE_S)


def test_a_slow_endpoint_that_takes_many_leaves_threads_to_the_others(
    scene: Scene, receiver: Receiver
) -> None:
    """A webhooks worker of eight threads, and two endpoints that hang with 64 at once asked for."""
    other, quiet = add_account(scene.db, "other"), add_account(scene.db, "quiet")
    receiver.manner = hang
    for account in (scene.account, other):
        add_endpoint(
            scene.db, account, url=receiver.url, max_in_flight=64, reach=scene.config.webhook_reach
        )
    for _ in range(10):
        scene.end_job()
        scene.end_job(account=other)
    with receiving() as healthy, ThreadPoolExecutor(8) as threads:

        def step() -> None:
            for one in choose_due(scene.db, 8, 8, 64):
                threads.submit(scene.deliver, one)

        step()
        step()
        wait_until(lambda: receiver.held == 6, DEADLINE_S, "six threads to hang")
        for _ in range(6):
            scene.end_job(url=healthy.url, account=quiet)

        def all_arrived() -> bool:
            step()
            return len(healthy.requests) == 6

        wait_until(all_arrived, DEADLINE_S, "the healthy receiver to get its six")
        assert receiver.most_held == 6
        receiver.released.set()


def test_a_try_is_held_by_a_lease_with_an_end(scene: Scene, receiver: Receiver) -> None:
    scene.end_job(url=receiver.url)
    (delivery_id,) = scene.choose()
    leases = NoLeases()
    seen: list[UUID] = []
    answer = status(200)

    def look(request: Any) -> None:
        seen.extend(deliveries.in_flight_tokens(scene.db))
        answer(request)

    receiver.manner = look
    deliver(scene.pool, delivery_id, leases, scene.config)

    assert leases.held == leases.limited == seen


def test_nothing_that_was_sent_stands_in_the_log(
    scene: Scene, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.manner = status(500, b"an inner secret")
    scene.end_job(url=receiver.url + "?token=hunter2", custom_id="sentinel")

    scene.deliver_due()

    output = capsys.readouterr()
    assert "webhook_tried" in output.out + output.err
    for hidden in ("hunter2", "sentinel", "inner secret", "whsec_"):
        assert hidden not in output.out + output.err
    assert json.loads(receiver.requests[0].body)["data"]["custom_id"] == "sentinel"
