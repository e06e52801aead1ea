"""The addresses that deliveries may go to are checked at every try."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest

from tests.support.fake_servers.webhook_receiver import Receiver, status
from tests.support.scenes.webhooks import Scene
from tierline.base.settings import Settings
from tierline.services.webhooks import announce as announcing
from tierline.webhooks.addresses import Address


@contextmanager
def using(config: Settings) -> Iterator[None]:
    """What a process that announces reads from its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(announcing, "settings", lambda: config)
        yield


def test_an_address_that_is_not_allowed_is_tried_like_a_receiver_that_is_away(
    scene: Scene, receiver: Receiver
) -> None:
    scene.config = Settings(webhook_allow=())
    scene.end_job(url=receiver.url)

    (delivery_id,) = scene.deliver_due()

    row = scene.row(delivery_id)
    assert (row["status"], row["last_status"]) == ("pending", None)
    assert "not a global one" in row["last_error"]
    assert receiver.requests == []


INNER = (ip_network("10.0.0.0/8"),)  # names may lead there, so they are decided at the call


def elsewhere(name: str, port: int, within_s: float) -> Sequence[Address]:
    return [ip_address("8.8.8.8")]


def refused_port(scene: Scene, delivery_id: UUID) -> bool:
    return "TIERLINE_WEBHOOK_PORTS" in str(scene.row(delivery_id)["last_error"])


def test_a_name_on_another_port_is_called_only_in_an_allowed_network(scene: Scene) -> None:
    scene.config = Settings(webhook_allow=INNER)
    with using(scene.config):
        scene.end_job(url="http://hooks.example.com:6379/")
    (delivery_id,) = scene.choose()

    scene.deliver(delivery_id, resolve=elsewhere)

    row = scene.row(delivery_id)
    assert (row["status"], row["last_status"]) == ("pending", None)
    assert refused_port(scene, delivery_id)


@pytest.mark.parametrize("of", ["endpoint", "job"])
def test_what_was_given_before_ports_were_limited_still_goes_out(
    scene: Scene, receiver: Receiver, of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen by its name being looked up and its address refused for what it is, not for its port."""
    url = f"http://hooks.example.com:{receiver.port}/?token=hunter2"
    if of == "endpoint":
        endpoint_id, _ = scene.add_endpoint(url)
        scene.db.execute("UPDATE webhook_endpoints SET any_port = true")
    scene.config = Settings(webhook_allow=())
    with using(scene.config):
        scene.end_job(url=url if of == "job" else None)
    (delivery_id,) = scene.choose()
    asked = []

    def resolve(name: str, port: int, within_s: float) -> Sequence[Address]:
        asked.append(port)
        return [ip_address("127.0.0.1")]

    scene.deliver(delivery_id, resolve=resolve)

    assert asked == [receiver.port]
    assert not refused_port(scene, delivery_id)
    output = capsys.readouterr()
    assert ("webhook_port_ends" in output.out + output.err) is (of == "endpoint")
    assert "hunter2" not in output.out + output.err
    if of == "endpoint":
        assert str(endpoint_id) in output.out + output.err


def test_what_the_release_before_had_queued_still_goes_out(scene: Scene) -> None:
    scene.end_job(url="http://hooks.example.com:6379/")
    # Its statement names no such column.
    scene.db.execute("UPDATE deliveries SET any_port = DEFAULT")
    scene.config = Settings(webhook_allow=())

    (delivery_id,) = scene.choose()
    scene.deliver(delivery_id, resolve=lambda *_: [ip_address("10.0.0.1")])

    assert "not a global one" in scene.row(delivery_id)["last_error"]


def test_a_name_that_turns_inward_between_two_tries_is_not_followed(
    scene: Scene, receiver: Receiver
) -> None:
    answers = ["127.0.0.1", "10.0.0.1"]

    def resolve(name: str, port: int, within_s: float) -> Sequence[Address]:
        return [ip_address(answers.pop(0))]

    receiver.manner = status(500)
    scene.end_job(url=f"http://hooks.example.com:{receiver.port}/x")
    (delivery_id,) = scene.choose()
    scene.deliver(delivery_id, resolve=resolve)
    scene.forward(6)
    scene.choose()
    scene.deliver(delivery_id, resolve=resolve)

    assert len(receiver.requests) == 1
    assert "not a global one" in scene.row(delivery_id)["last_error"]
    assert answers == []
