"""Celery's thread pool with one addition: a finished task wakes the consumer at once.

With prefetch off, the consumer stops asking the broker while every thread is busy, and it is not
told when one is free again: it checks up to a second later (16 threads of 50 ms ran 20 jobs/s).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.concurrency.thread import TaskPool as ThreadPool

WAKE = b"\0"


class TaskPool(ThreadPool):
    """A ThreadPool whose tasks write to a pipe that the consumer's event loop reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def register_with_event_loop(self, loop: Any) -> None:
        """Called by the consumer for its loop, and again after each reconnection."""
        loop.add_reader(self._reader, self._drain)

    def on_apply(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = super().on_apply(target, *args, **kwargs)
        result.f.add_done_callback(self._wake)
        return result

    def _wake(self, _: object) -> None:
        with suppress(BlockingIOError):  # the pipe is already full of wake-ups
            os.write(self._writer, WAKE)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
