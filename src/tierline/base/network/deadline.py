"""A total deadline for the network operations of a thread. It belongs to the calling thread, as a
synchronous call does.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_deadline = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Inside the block, every read, write and connect of this thread ends within `seconds` from
    now.

    Otherwise the operation raises its timeout error.
    """
    _deadline.at = time.monotonic() + seconds
    try:
        yield
    finally:
        _deadline.at = None


def left_s(timeout: float | None, late: type[Exception]) -> float | None:
    """The time for the thread's next operation: `timeout`, or less if the deadline comes sooner.

    Raises `late` if the deadline has passed.
    """
    at: float | None = getattr(_deadline, "at", None)
    if at is None:
        return timeout
    rest_s = at - time.monotonic()
    if rest_s <= 0:
        raise late("the deadline has passed")
    return rest_s if timeout is None else min(timeout, rest_s)
