"""One call for the requests that several threads make at the same time.

A thread that comes while few calls run makes its own call at once. Others wait until one ends, and
then one of them makes the call for all. So no thread waits only to be joined by others, unless
`gather_s` says so. A thread that has waited for PATIENCE_S makes its own call: a call that hangs
delays no other thread for longer.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

PATIENCE_S = 0.25

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Waiting(Generic[Request, Answer]):
    """A thread that waits, and what it gets: the answer, an error, or the group to call for."""

    def __init__(self, request: Request) -> None:
        self.request = request
        # Released once. An Event, which many may wait for, would make a lock for each wait.
        self.woken = threading.Lock()
        self.woken.acquire()
        self.group: list[_Waiting[Request, Answer]] | None = None
        self.answers: list[Answer] = []  # its own, once the call was made
        self.error: BaseException | None = None


class Together(Generic[Request, Answer]):
    """Makes at most `at_once` calls at the same time, each for at most `most` threads. A call for
    fewer begins after `gather_s`, so that others may join it.

    `call` gets the threads' requests, and returns an answer for each in the same order. Its error
    is raised in each of these threads.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Request]], Sequence[Answer]],
        at_once: int,
        most: int,
        gather_s: float = 0.0,
    ) -> None:
        self._call = call
        self._at_once = at_once
        self._most = most
        self._gather_s = gather_s
        self._lock = threading.Lock()
        self._calls = 0  # that run
        self._waiting: list[_Waiting[Request, Answer]] = []

    @property
    def waiting(self) -> int:
        """How many threads wait for a call that has not begun."""
        return len(self._waiting)

    def __call__(self, request: Request) -> Answer:
        """The answer to `request`."""
        own: _Waiting[Request, Answer] = _Waiting(request)
        with self._lock:
            if self._calls < self._at_once:
                self._calls += 1
                own.group = [own]
            else:
                self._waiting.append(own)
        if own.group is None and not own.woken.acquire(timeout=PATIENCE_S):
            if self._withdrawn(own):
                return self._call([request])[0]
            own.woken.acquire()
        if own.group is not None:
            self._call_for(own.group)
        if own.error is not None:
            raise own.error
        return own.answers[0]

    def _call_for(self, group: list[_Waiting[Request, Answer]]) -> None:
        """Make the call of a group, wake the others, and have the next group called."""
        if self._gather_s and len(group) < self._most:
            time.sleep(self._gather_s)
            self._join(group)
        try:
            answers = self._call([one.request for one in group])
            for one, answer in zip(group, answers, strict=True):
                one.answers.append(answer)
        except BaseException as error:
            for one in group:
                one.error = error
        finally:
            self._next()
            for one in group[1:]:
                one.woken.release()

    def _join(self, group: list[_Waiting[Request, Answer]]) -> None:
        """Add those that wait by now to a group whose call has not begun."""
        with self._lock:
            room = self._most - len(group)
            group += self._waiting[:room]
            del self._waiting[:room]

    def _withdrawn(self, own: _Waiting[Request, Answer]) -> bool:
        """Whether it waits no longer. False: it is in a group by now."""
        with self._lock:
            if own not in self._waiting:
                return False
            self._waiting.remove(own)
            return True

    def _next(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not group:
                self._calls -= 1
                return
            group[0].group = group
        group[0].woken.release()
