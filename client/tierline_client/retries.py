"""The API over hours: a request is repeated until it is answered, in bounded time.

Only for requests that may be repeated: a job or batch under an Idempotency-Key, a part by its
number. A restart may move the API to another port and key: its place can be looked up again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from tierline_client.errors import Forbidden, LimitReached, Unavailable
from tierline_client.transport import Place, Transport

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds."""

    give_up_s: float = 900.0  # without one answer; a restart takes seconds, a machine's minutes
    refused_s: float = 30.0  # a key that worked and no longer does: a restart may bring another
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    longest_asked_s: float = 60.0  # how far a Retry-After is followed
    say_after_s: float = 3.0


class Retrying:
    """Requests that outlast a restart of the API. Before the first answer nothing is waited for.

    `find_again` looks the place up again, where a restart may change it: None while there is none.
    Without it a refused key is an error at once. `say` is told once that it waits, and once that
    the API answers again.
    """

    def __init__(
        self,
        place: Place,
        say: Callable[[str], None],
        *,
        find_again: Callable[[], Place | None] | None = None,
        patience: Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        user_agent: str = "tierline-client",
    ) -> None:
        self._place = place
        self._say = say
        self._find_again = find_again
        self._patience = patience or Patience()
        self._pause = pause
        self._monotonic = monotonic
        self._user_agent = user_agent
        self._transport: Transport | None = None
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def call(self, ask: Callable[[Transport], T]) -> T:
        """What `ask` returns, which may be called several times. Raises the last TierlineError."""
        bounds = self._patience
        silent_since: float | None = None
        waiting_since: float | None = None
        pause_s = bounds.first_pause_s
        told = False
        while True:
            try:
                answer = ask(self._connected())
            except (Unavailable, Forbidden) as error:
                now = self._monotonic()
                waiting_since = now if waiting_since is None else waiting_since
                if isinstance(error, LimitReached):
                    # It answers, and there will be room, however long the queue takes to make it.
                    self._answered = True
                    silent_since = now
                silent_since = now if silent_since is None else silent_since
                refused = isinstance(error, Forbidden)
                most_s = bounds.refused_s if refused else bounds.give_up_s
                if not self._answered or now - silent_since > most_s:
                    raise
                if refused and self._find_again is None:
                    raise
                if not told and now - waiting_since > bounds.say_after_s:
                    self._say(f"waiting for the API: {error.message}")
                    told = True
                asked_s = error.retry_after_s if isinstance(error, Unavailable) else None
                self._pause(max(pause_s, min(asked_s or 0.0, bounds.longest_asked_s)))
                pause_s = min(pause_s * 2, bounds.longest_pause_s)
                self._look_again()
                continue
            self._answered = True
            if told:
                self._say("the API answers again")
            return answer

    def _connected(self) -> Transport:
        if self._transport is None:
            self._transport = Transport(self._place, self._user_agent)
        return self._transport

    def _look_again(self) -> None:
        """Drop the connection when the API has moved or has another key."""
        place = None if self._find_again is None else self._find_again()
        if place is not None and place != self._place:
            self.close()
            self._place = place
