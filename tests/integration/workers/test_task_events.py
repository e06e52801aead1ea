"""The task events of a worker are Celery's own, and survive a broker that refuses them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from tests.support.waiting import wait_until
from tierline.base.settings import settings
from workers.task_events import TaskEvents

Event = dict[str, Any]


@pytest.fixture
def app(environment: None) -> Celery:
    from workers.app import create_app

    return create_app(())


@pytest.fixture
def seen(app: Celery) -> Iterator[list[Event]]:
    """What a listener such as Flower gets."""
    events: list[Event] = []
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        listening.start()
        try:
            with app.connection() as other, app.events.Dispatcher(other) as first:

                def heard() -> bool:
                    first.send("test-began")
                    return bool(events)

                wait_until(heard, 60, "the listener")
            yield events
        finally:
            receiver.should_stop = True
            listening.join(10)


@pytest.fixture
def celery(app: Celery) -> Iterator[Any]:
    """Celery's own dispatcher of events."""
    with app.connection() as connection, app.events.Dispatcher(connection, hostname="w@here") as it:
        yield it


@pytest.fixture
def ours(app: Celery, celery: Any) -> TaskEvents:
    events = TaskEvents("w@here", app.clock)
    events.dispatcher = celery
    return events


def of_tasks(seen: list[Event]) -> list[Event]:
    return [event for event in seen if event["type"].startswith("task-")]


def without_moment(event: Event) -> Event:
    moment = ("timestamp", "local_received", "clock")
    assert all(isinstance(event[name], float | int) for name in moment)
    return {name: value for name, value in event.items() if name not in moment}


def test_they_are_what_celery_sends(seen: list[Event], celery: Any, ours: TaskEvents) -> None:
    name, odd = "slm.answer", 'ValueError("a \\ quote")\n'
    celery.send(
        "task-received",
        uuid="1",
        name=name,
        args=repr(("job",)),
        kwargs="{}",
        retries=0,
        eta=None,
        expires=None,
        root_id="1",
        parent_id=None,
    )
    celery.send("task-started", uuid="1")
    celery.send("task-failed", uuid="1", exception=odd, traceback="")
    celery.send("task-succeeded", uuid="1", result="None", runtime=0.25)
    wait_until(lambda: len(of_tasks(seen)) == 4, 60, "Celery's events")
    theirs = [without_moment(event) for event in of_tasks(seen)]
    seen.clear()

    ours.received("1", name, ("job",))
    ours.started("1")
    ours.failed("1", odd)
    ours.succeeded("1", 0.25)
    ours.send()
    wait_until(lambda: len(of_tasks(seen)) == 4, 60, "our events")
    assert [without_moment(event) for event in of_tasks(seen)] == theirs


def test_nothing_is_sent_while_they_are_switched_off(
    seen: list[Event], celery: Any, ours: TaskEvents
) -> None:
    celery.disable()
    ours.started("1")
    celery.enable()
    ours.started("2")
    ours.send()
    wait_until(lambda: of_tasks(seen), 60, "an event")
    assert [event["uuid"] for event in of_tasks(seen)] == ["2"]


def test_events_that_the_broker_refuses_are_sent_later(seen: list[Event], ours: TaskEvents) -> None:
    with redis.Redis.from_url(settings().broker) as broker:
        broker.execute_command("ACL", "SETUSER", "default", "-publish")
        try:
            for number in range(3):
                ours.started(str(number))
            ours.send()
        finally:
            broker.execute_command("ACL", "SETUSER", "default", "+@all")
    ours.started("3")
    ours.send()
    wait_until(lambda: len(of_tasks(seen)) == 4, 60, "all events")
    assert [event["uuid"] for event in of_tasks(seen)] == ["0", "1", "2", "3"]
