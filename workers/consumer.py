"""The step of a worker that sends its task events to Flower, at intervals and many at once."""

from typing import Any

from celery import bootsteps
from celery.worker.consumer.events import Events

from workers.task_events import TaskEvents

SEND_S = 0.5  # the delay of events; only Flower reads them


class BatchedEvents(bootsteps.StartStopStep):
    """Sends task events at intervals; restarted with each connection to the broker."""

    requires = (Events,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        self._events = TaskEvents(consumer.hostname, consumer.app.clock)
        consumer.task_events = self._events
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        if consumer.event_dispatcher is None or consumer.hub is None:
            return
        self._events.dispatcher = consumer.event_dispatcher
        self._timer = consumer.timer.call_repeatedly(SEND_S, self._events.send)

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery passes it
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._events.send()
        self._events.dispatcher = None
