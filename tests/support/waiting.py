"""Waiting for a condition with a deadline, in place of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 60.0
"""For everything that waits for a process, a thread or a server: a busy machine is slow, and a test
that passes does not wait so long."""


def wait_until(check: Callable[[], T], timeout_s: float, what: str, every_s: float = 0.02) -> T:
    """The first true value of `check`. Fails the test, naming `what`, after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() > deadline  # read first: one check always follows the deadline
        value = check()
        if value:
            return value
        if late:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; last seen: {value!r}")
        time.sleep(every_s)
