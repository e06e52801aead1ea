"""One call for what several threads ask at the same time.

A thread that asks while few calls run makes its own call at once. Others wait until one ends, and
then one of them asks for all. So nobody waits in order to be joined by others, unless `gather_s`
says so. Whoever has waited for PATIENCE_S makes its own call: a call that hangs holds up nobody for
longer.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

PATIENCE_S = 0.25

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Waiting(Generic[Asked, Answer]):
    """A thread that waits, and what it is given: the answer, an error, or the call to make."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.woken = threading.Event()
        self.leads: list[_Waiting[Asked, Answer]] | None = None
        self.answers: list[Answer] = []  # its own, once the call was made
        self.error: BaseException | None = None


class Together(Generic[Asked, Answer]):
    """Makes at most `at_once` calls at the same time, each for at most `most` threads. A call for
    fewer begins after `gather_s`, so that others may join it.

    `call` gets what the threads ask, and returns an answer for each in the same order. An error of
    it is raised in each of these threads.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Asked]], Sequence[Answer]],
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
        self._waiting: list[_Waiting[Asked, Answer]] = []

    @property
    def waiting(self) -> int:
        """How many threads wait for a call that has not begun."""
        return len(self._waiting)

    def __call__(self, asked: Asked) -> Answer:
        """The answer to `asked`."""
        own: _Waiting[Asked, Answer] = _Waiting(asked)
        with self._lock:
            if self._calls < self._at_once:
                self._calls += 1
                own.leads = [own]
            else:
                self._waiting.append(own)
        if own.leads is None and not own.woken.wait(PATIENCE_S):
            if self._withdrawn(own):
                return self._call([asked])[0]
            own.woken.wait()
        if own.leads is not None:
            self._lead(own.leads)
        if own.error is not None:
            raise own.error
        return own.answers[0]

    def _lead(self, group: list[_Waiting[Asked, Answer]]) -> None:
        """Make the call of a group, wake the others, and have the next group called."""
        if self._gather_s and len(group) < self._most:
            time.sleep(self._gather_s)
            self._join(group)
        try:
            answers = self._call([one.asked for one in group])
            for one, answer in zip(group, answers, strict=True):
                one.answers.append(answer)
        except BaseException as error:
            for one in group:
                one.error = error
        finally:
            self._next()
            for one in group[1:]:
                one.woken.set()

    def _join(self, group: list[_Waiting[Asked, Answer]]) -> None:
        """Add those that wait by now to a group whose call has not begun."""
        with self._lock:
            room = self._most - len(group)
            group += self._waiting[:room]
            del self._waiting[:room]

    def _withdrawn(self, own: _Waiting[Asked, Answer]) -> bool:
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
            group[0].leads = group
        group[0].woken.set()
