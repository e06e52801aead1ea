"""Sends hints to the broker, and reads how many wait there."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from celery import Celery
from celery.events.event import Event, get_exchange
from celery.utils.nodenames import anon_nodename
from celery.utils.time import utcoffset
from kombu import Producer
from kombu.exceptions import (  # type: ignore[attr-defined]  # the stubs lack the first
    BatchPublishError,
    OperationalError,
)
from kombu.utils.uuid import uuid

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
"""The task of a hint on `maintenance` that names an evaluation."""

BROKER_AWAY = (redis.RedisError, OperationalError, BatchPublishError, OSError, RuntimeError)
"""The errors of a broker that is away, full or frozen. BatchPublishError: kombu's batch was cut or
refused; RuntimeError: it was used again after that."""


def publish(app: Celery, hints: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Send (queue, task arguments) pairs in one pipeline, and report all to Flower in one event.

    The messages are Celery's own. Its send_task would do the same with the router, a declaration
    and an event for each: 60% of the dispatcher's time.

    Raises one of BROKER_AWAY; some of the hints may have been sent then, and may be sent again.
    """
    origin = anon_nodename()
    events = []
    with app.producer_or_acquire() as producer:
        with producer.batch():
            for queue, arguments in hints:
                events.append(_send(app, producer, queue, arguments, origin))
        exchange = get_exchange(producer.connection, name=app.conf.event_exchange)
        producer.publish(
            events,
            exchange=exchange.name,
            routing_key="task.multi",
            declare=[exchange],
            serializer=app.conf.event_serializer,
            headers={"hostname": origin},
            delivery_mode="transient",
        )


def task_of(queue: str, arguments: Sequence[str]) -> str:
    """The task that a hint with these arguments runs."""
    return EVALUATION_STEP if queue == queues.MAINTENANCE and arguments else TASK_OF_QUEUE[queue]


def _send(
    app: Celery, producer: Producer, queue: str, arguments: Sequence[str], origin: str
) -> dict[str, Any]:
    """Put one message into its queue; returns the event about it."""
    headers, properties, body, sent = app.amqp.as_task_v2(
        uuid(),
        task_of(queue, arguments),
        args=tuple(arguments),
        argsrepr=repr(tuple(arguments)),  # Celery's own cuts long ones, and takes 10 times as long
        kwargsrepr="{}",
        origin=origin,
        ignore_result=True,
        create_sent_event=True,
    )
    assert sent is not None, "asked for with create_sent_event"
    producer.publish(
        body, exchange="", routing_key=queue, serializer="json", headers=headers, **properties
    )
    event: dict[str, Any] = Event(
        "task-sent",
        hostname=origin,
        utcoffset=utcoffset(),
        pid=os.getpid(),
        clock=app.clock.forward(),  # type: ignore[attr-defined]
        **sent,
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
