"""Sends hints to the broker, and reads how many wait there."""

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
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
        id = str(uuid4())
        lists.setdefault(queue, []).append(_message(app, id, queue, arguments, origin))
        events.append(_sent(app, id, queue, arguments, origin, offset))
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
            dumps(events),
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


@cache
def _headers(app: Celery) -> Mapping[str, object]:
    """The headers of a task's message, by Celery itself. What differs is replaced for each."""
    headers, *_ = app.amqp.as_task_v2(
        "", "", args=(), argsrepr="", kwargsrepr="{}", ignore_result=True
    )
    return headers


NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def _message(app: Celery, id: str, queue: str, arguments: Sequence[str], origin: str) -> str:
    """A task's message as kombu puts it into a list."""
    body = dumps((arguments, {}, NO_CALLBACKS))
    own = {
        "task": task_of(queue, arguments),
        "id": id,
        "root_id": id,
        "argsrepr": repr(tuple(arguments)),
        "origin": origin,
    }
    return dumps(
        {
            "body": b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**_headers(app), **own},
            "properties": {
                "correlation_id": id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


def _sent(
    app: Celery, id: str, queue: str, arguments: Sequence[str], origin: str, offset: float
) -> dict[str, Any]:
    """The event about a message."""
    event: dict[str, Any] = Event(
        "task-sent",
        hostname=origin,
        utcoffset=offset,
        pid=os.getpid(),
        clock=app.clock.forward(),  # type: ignore[attr-defined]
        uuid=id,
        root_id=id,
        parent_id=None,
        name=task_of(queue, arguments),
        args=repr(tuple(arguments)),
        kwargs="{}",
        retries=0,
        eta=None,
        expires=None,
        queue=queue,
        exchange="",
        routing_key=queue,
    )
    return event


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
