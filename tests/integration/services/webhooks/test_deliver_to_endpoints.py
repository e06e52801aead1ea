"""Endpoints that are gone, disabled, removed or changed while deliveries wait for them."""

import pytest

from tests.support.fake_servers.webhook_receiver import Receiver, status
from tests.support.scenes.webhooks import Scene
from tierline.services.webhooks.endpoints import change_endpoint, remove_endpoint


def test_gone_disables_the_endpoint_and_fails_what_waits_for_it(
    scene: Scene, receiver: Receiver
) -> None:
    receiver.manner = status(410)
    endpoint_id, _ = scene.add_endpoint(receiver.url)
    for _ in range(4):
        scene.end_job()
    first, *_ = scene.choose()
    scene.deliver(first)

    row = scene.db.execute(
        "SELECT disabled_at IS NOT NULL, disabled_reason FROM webhook_endpoints WHERE id = %s",
        (endpoint_id,),
    ).fetchone()
    assert row == (True, "its receiver answered 410 Gone")
    assert {state for (state,) in scene.db.execute("SELECT status FROM deliveries")} == {"failed"}
    assert len(receiver.requests) == 1
    scene.end_job()
    assert scene.choose() == []


def test_gone_from_a_jobs_own_url_ends_that_delivery_alone(
    scene: Scene, receiver: Receiver
) -> None:
    receiver.manner = status(410)
    scene.end_job(url=receiver.url)
    scene.end_job(url=receiver.url)
    first, second = scene.choose()

    scene.deliver(first)

    assert scene.row(first)["status"] == "failed"
    assert scene.row(second)["status"] == "pending"


def test_what_was_hinted_when_its_endpoint_was_removed_is_not_sent(
    scene: Scene, receiver: Receiver
) -> None:
    endpoint_id, _ = scene.add_endpoint(receiver.url)
    scene.end_job()
    (delivery_id,) = scene.choose()
    scene.db.execute("DELETE FROM webhook_endpoints WHERE id = %s", (endpoint_id,))

    scene.deliver(delivery_id)

    row = scene.row(delivery_id)
    assert (row["status"], row["last_error"]) == (
        "failed",
        "its endpoint was disabled or deleted",
    )
    assert receiver.requests == []


@pytest.mark.parametrize("how", ["disable", "remove"])
def test_disabling_or_removing_an_endpoint_fails_what_waits(scene: Scene, how: str) -> None:
    endpoint_id, _ = scene.add_endpoint("https://one.example.com/")
    scene.end_job()
    if how == "disable":
        change_endpoint(scene.db, scene.account, endpoint_id, disabled=True)
    else:
        remove_endpoint(scene.db, scene.account, endpoint_id)

    assert scene.choose() == []
    assert scene.db.execute("SELECT status FROM deliveries").fetchall() == [("failed",)]


def test_a_changed_url_gets_what_waited_for_the_old_one(scene: Scene, receiver: Receiver) -> None:
    endpoint_id, _ = scene.add_endpoint("https://old.example.com/")
    scene.end_job()
    change_endpoint(
        scene.db,
        scene.account,
        endpoint_id,
        url=receiver.url,
        reach=scene.config.webhook_reach,
    )

    scene.deliver_due()

    assert len(receiver.requests) == 1
