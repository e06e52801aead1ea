"""Hints are the messages that Celery itself would send, and Flower hears of each."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from celery import Celery

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.rules import queues
from workers.hints import BROKER_AWAY, TASK_OF_QUEUE, publish

OWN = ("id", "root_id", "correlation_id", "delivery_tag")  # different in every message
RESULTS = "reply_to"  # where a result would go; no task here has one


@pytest.fixture
def app(environment: None) -> Celery:
    from workers.app import create_app

    return create_app()


@pytest.fixture
def broker(environment: None) -> Iterator["redis.Redis[Any]"]:
    client = redis.Redis.from_url(settings().broker)
    client.flushdb()
    yield client
    client.close()


def only_message(broker: "redis.Redis[Any]", queue: str) -> dict[str, Any]:
    (message,) = broker.lrange(queue, 0, -1)
    broker.delete(queue)
    message_document: dict[str, Any] = json.loads(message)
    return message_document


def without_own(message: dict[str, Any]) -> dict[str, Any]:
    message["properties"].pop(RESULTS)
    for part in (message["headers"], message["properties"]):
        for name in OWN:
            if name in part:
                assert part[name]
                part[name] = "…"
    return message


def test_a_hint_is_the_message_that_celery_would_send(
    app: Celery, broker: "redis.Redis[Any]"
) -> None:
    job_id = str(new_id())
    app.send_task(TASK_OF_QUEUE[queues.SLM], args=(job_id,), queue=queues.SLM, ignore_result=True)
    by_celery = only_message(broker, queues.SLM)
    publish(app, [(queues.SLM, (job_id,))])
    ours = only_message(broker, queues.SLM)
    assert ours["headers"]["id"] == ours["headers"]["root_id"]
    assert ours["headers"]["id"] == ours["properties"]["correlation_id"]
    assert without_own(ours) == without_own(by_celery)


def test_flower_hears_of_every_hint_and_of_its_queue(
    app: Celery, broker: "redis.Redis[Any]"
) -> None:
    heard: list[dict[str, Any]] = []
    sent = [(queues.SLM, ("first",)), (queues.DEEPER, ("second",)), (queues.MAINTENANCE, ())]
    with app.connection_for_read() as for_receiver:
        receiver = app.events.Receiver(for_receiver, handlers={"task-sent": heard.append})
        with receiver.consumer_context() as (connection, _, _):

            def listening() -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return bool(broker.pubsub_numpat())

            def all_heard() -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return len(heard) == len(sent)

            wait_until(listening, DEADLINE_S, "the receiver to listen")
            publish(app, sent)
            wait_until(all_heard, DEADLINE_S, "an event of each hint")
    assert [(one["routing_key"], one["name"]) for one in heard] == [
        (queue, TASK_OF_QUEUE[queue]) for queue, _ in sent
    ]
    assert "first" in heard[0]["args"]


def test_a_broker_without_room_counts_as_away_until_it_has_some(
    app: Celery, broker: "redis.Redis[Any]"
) -> None:
    broker.config_set("maxmemory", 1)
    try:
        with pytest.raises(BROKER_AWAY):
            publish(app, [(queues.SLM, ("refused",))])
    finally:
        broker.config_set("maxmemory", 0)
    publish(app, [(queues.SLM, ("taken",))])
    assert "taken" in only_message(broker, queues.SLM)["headers"]["argsrepr"]
