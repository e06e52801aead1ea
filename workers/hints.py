"""Sends hints to the broker, and reads how many wait there."""

import os
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from json import dumps
from typing import Any
from uuid import uuid4

import redis
from celery import Celery
from celery.events.event import Event, get_exchange
from celery.utils.nodenames import anon_nodename
from celery.utils.time import utcoffset
from kombu.exceptions import (  # type: ignore[attr-defined]  # the stubs lack the first
    BatchPublishError,
    OperationalError,
)

from tierline.base.settings import settings
from tierline.rules import queues

TASK_OF_QUEUE = {
    queues.SLM: "slm.answer",
    queues.SLM_BACKFILL: "slm.answer",
    queues.DEEPER: "deeper-analysis.answer",
    queues.DEEPER_BACKFILL: "deeper-analysis.answer",
    queues.QUARANTINE: "quarantine.answer",
    queues.WEBHOOKS: "webhooks.deliver",
    queues.MAINTENANCE: "maintenance.sweep",
}
"""The task that a hint on a queue runs, with a name for Flower."""

EVALUATION_STEP = "maintenance.evaluation"
"""The task of a hint on `maintenance` that names an evaluation, by its number."""

BULK_ACTION_STEP = "maintenance.bulk_action"
"""The task of a hint on `maintenance` that names a bulk action, by its UUID."""

BROKER_AWAY = (redis.RedisError, OperationalError, BatchPublishError, OSError, RuntimeError)
"""The errors of a broker that is away, full or frozen. BatchPublishError: kombu's batch was cut or
refused; RuntimeError: it was used again after that."""


def publish(app: Celery, hints: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Send (queue, task arguments) pairs, and report all to Flower in one event.

    The messages are Celery's own. Its send_task would do the same with the router, a declaration
    and an event for each, and kombu's producer with a command for each.

    Raises one of BROKER_AWAY; some of the hints may have been sent then, and may be sent again.
    """
    origin, offset = anon_nodename(), utcoffset()
    lists: dict[str, list[str]] = {}
    events = []
    for queue, arguments in hints:
        form = _form(app, queue, task_of(queue, arguments), origin)
        message, event = form.filled(arguments, offset, app.clock.forward())  # type: ignore[attr-defined]
        lists.setdefault(queue, []).append(message)
        events.append(event)
    with app.producer_or_acquire() as producer:
        with (
            producer.channel.conn_or_acquire() as client,
            client.pipeline(transaction=False) as pipeline,
        ):
            for queue, messages in lists.items():
                pipeline.lpush(queue, *messages)
            pipeline.execute()
        exchange = get_exchange(producer.connection, name=app.conf.event_exchange)
        producer.publish(
            f"[{', '.join(events)}]",
            exchange=exchange.name,
            routing_key="task.multi",
            declare=[exchange],
            content_type="application/json",
            content_encoding="utf-8",
            headers={"hostname": origin},
            delivery_mode="transient",
        )


def task_of(queue: str, arguments: Sequence[str]) -> str:
    """The task that a hint with these arguments runs."""
    if queue == queues.MAINTENANCE and arguments:
        return EVALUATION_STEP if arguments[0].isdigit() else BULK_ACTION_STEP
    return TASK_OF_QUEUE[queue]


NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
ID, ARGUMENTS, BODY, CLOCK, NOW, OFFSET = (f"<{n}>" for n in range(6))  # what differs in each hint


@dataclass(frozen=True)
class _Form:
    """The message and the event of a task, as JSON with places for what differs in each hint.

    Encoding all of both for each hint took two thirds of the time of sending them.
    """

    message: str
    event: str

    def filled(self, arguments: Sequence[str], offset: float, clock: int) -> tuple[str, str]:
        """The two texts for one hint."""
        id = dumps(str(uuid4()))
        body = dumps((arguments, {}, NO_CALLBACKS))
        shown = dumps(repr(tuple(arguments)))
        return (
            self.message
            % {
                ID: id,
                ARGUMENTS: shown,
                BODY: dumps(b64encode(body.encode()).decode()),
            },
            self.event
            % {
                ID: id,
                ARGUMENTS: shown,
                CLOCK: clock,
                NOW: time.time(),
                OFFSET: offset,
            },
        )


@cache
def _form(app: Celery, queue: str, task: str, origin: str) -> _Form:
    message, event = _message(app, queue, task, origin), _sent(queue, task, origin)
    return _Form(_with_places(message), _with_places(event))


def _with_places(document: Mapping[str, object]) -> str:
    """The JSON of a document, as a format for `%`."""
    text = dumps(document).replace("%", "%%")
    for place in (ID, ARGUMENTS, BODY, CLOCK, NOW, OFFSET):
        text = text.replace(dumps(place), f"%({place})s")
    return text


def _message(app: Celery, queue: str, task: str, origin: str) -> dict[str, Any]:
    """A task's message as kombu puts it into a list, with the headers that Celery gives it."""
    headers, *_ = app.amqp.as_task_v2(
        "", "", args=(), argsrepr="", kwargsrepr="{}", ignore_result=True
    )
    own = {"task": task, "id": ID, "root_id": ID, "argsrepr": ARGUMENTS, "origin": origin}
    return {
        "body": BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**headers, **own},
        "properties": {
            "correlation_id": ID,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": ID,
        },
    }


def _sent(queue: str, task: str, origin: str) -> dict[str, Any]:
    """The event about a message."""
    event: dict[str, Any] = Event(
        "task-sent",
        hostname=origin,
        utcoffset=OFFSET,
        pid=os.getpid(),
        clock=CLOCK,
        uuid=ID,
        root_id=ID,
        parent_id=None,
        name=task,
        args=ARGUMENTS,
        kwargs="{}",
        retries=0,
        eta=None,
        expires=None,
        queue=queue,
        exchange="",
        routing_key=queue,
    )
    return {**event, "timestamp": NOW}


ASK_S = 1.0  # a hanging broker must not delay the check of leases


def broker_client(within_s: float) -> redis.Redis:
    """A client of the broker without Celery, which waits at most `within_s` for an answer."""
    return redis.Redis.from_url(
        settings().broker, socket_timeout=within_s, socket_connect_timeout=within_s
    )


class Lists:
    """Reads the lengths of the broker's lists."""

    def __init__(self) -> None:
        self._client = broker_client(ASK_S)

    def lengths(self) -> dict[str, int]:
        """How many messages of each queue wait in the broker. Raises redis.RedisError if it is
        away.
        """
        with self._client.pipeline(transaction=False) as pipeline:
            for name in queues.ALL:
                pipeline.llen(name)
            return dict(zip(queues.ALL, pipeline.execute(), strict=True))

    def close(self) -> None:
        self._client.close()
