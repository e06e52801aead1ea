"""Putting hints into the broker, and looking how many wait there."""

from collections.abc import Iterable, Sequence

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from tierline import queues
from tierline.settings import settings

TASK_OF_QUEUE = {
    queues.SLM: "slm.answer",
    queues.SLM_BACKFILL: "slm.answer",
    queues.DEEPER: "deeper-analysis.answer",
    queues.DEEPER_BACKFILL: "deeper-analysis.answer",
    queues.QUARANTINE: "quarantine.answer",
    queues.WEBHOOKS: "webhooks.deliver",
    queues.MAINTENANCE: "maintenance.sweep",
}
"""The task that a hint on a queue runs, named for those who watch Flower."""

BROKER_AWAY = (redis.RedisError, OperationalError, OSError, RuntimeError)
"""What a broker says that is away, full or frozen. RuntimeError: kombu's batch over such a one."""


def publish(app: Celery, hints: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Send (queue, task arguments) pairs in one pipeline.

    Raises one of BROKER_AWAY; some of the hints may have gone out then, and may go out again.
    """
    with app.producer_or_acquire() as producer, producer.batch():
        for queue, arguments in hints:
            app.send_task(
                TASK_OF_QUEUE[queue], args=tuple(arguments), queue=queue, producer=producer
            )


class Lists:
    """The broker's lists, looked at from outside of Celery."""

    def __init__(self) -> None:
        self._client = redis.Redis.from_url(
            settings().broker, socket_timeout=5, socket_connect_timeout=5
        )

    def empty(self) -> set[str]:
        """The queues with no message in the broker. Raises redis.RedisError when it is away."""
        with self._client.pipeline(transaction=False) as pipeline:
            for name in queues.ALL:
                pipeline.llen(name)
            lengths = pipeline.execute()
        return {name for name, length in zip(queues.ALL, lengths, strict=True) if length == 0}

    def close(self) -> None:
        self._client.close()
