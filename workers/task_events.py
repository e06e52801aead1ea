"""The task events of a worker, which Flower reads: collected as JSON, and sent many in one message.

They are Celery's own events. Its dispatcher builds a dictionary for each and encodes all of them in
Python, which took 32% of the interpreter's time in a busy worker.
"""

import os
import threading
import time
from collections import deque
from contextlib import suppress
from json import dumps
from typing import Any

from celery.utils.time import utcoffset
from kombu.exceptions import OperationalError
from redis import RedisError

MOST = 500  # sent at once if so many have accumulated
MOST_KEPT = 20_000  # while the broker is away


class TaskEvents:
    """Collects the events of one worker process. From any thread.

    `dispatcher` is Celery's, of the present connection to the broker; None while there is none.
    """

    def __init__(self, hostname: str, clock: Any) -> None:
        self.dispatcher: Any = None
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[str] = deque(maxlen=MOST_KEPT)
        self._origin = f'"hostname": {dumps(hostname)}, "pid": {os.getpid()}'
        self._see_offset()

    def received(self, id: str, name: str, arguments: tuple[str, ...]) -> None:
        self._add(
            "task-received",
            id,
            f', "name": {dumps(name)}, "args": {dumps(repr(arguments))}, "kwargs": "{{}}",'
            f' "retries": 0, "eta": null, "expires": null, "root_id": {dumps(id)},'
            ' "parent_id": null',
        )

    def started(self, id: str) -> None:
        self._add("task-started", id)

    def succeeded(self, id: str, runtime_s: float) -> None:
        self._add("task-succeeded", id, f', "result": "None", "runtime": {runtime_s:.6f}')

    def failed(self, id: str, exception: str) -> None:
        self._add("task-failed", id, f', "exception": {dumps(exception)}, "traceback": ""')

    def _add(self, kind: str, id: str, more: str = "") -> None:
        dispatcher = self.dispatcher
        if dispatcher is not None and not dispatcher.enabled:
            return  # somebody switched them off
        self._events.append(
            f'{{"type": "{kind}", "uuid": {dumps(id)}, "timestamp": {time.time():.6f},'
            f' "clock": {self._clock.forward()}, {self._origin}, {self._offset}{more}}}'
        )
        if len(self._events) == MOST:
            self.send()

    def send(self) -> None:
        """Send what has accumulated. Events that cannot be sent are kept for the next time."""
        with self._lock:
            self._see_offset()
            dispatcher = self.dispatcher
            if dispatcher is None or not self._events:
                return
            events = []
            with suppress(IndexError):  # others add meanwhile
                while True:
                    events.append(self._events.popleft())
            try:
                with dispatcher.mutex:  # its channel is also used for the worker's own events
                    self._publish(dispatcher, f"[{', '.join(events)}]")
            except (RedisError, OperationalError, OSError, AttributeError):
                # AttributeError: the dispatcher was closed meanwhile.
                self._events.extendleft(reversed(events))

    @staticmethod
    def _publish(dispatcher: Any, body: str) -> None:
        dispatcher.producer.publish(
            body,
            routing_key="task.multi",
            exchange=dispatcher.exchange.name,
            declare=[dispatcher.exchange],
            content_type="application/json",
            content_encoding="utf-8",
            headers=dispatcher.headers,
            delivery_mode=dispatcher.delivery_mode,
        )

    def _see_offset(self) -> None:
        self._offset = f'"utcoffset": {utcoffset()}'  # changes with the summer
