"""Retries for programs that run for hours: a request is repeated, for a limited time, until the API
answers.

Use it only for requests that are safe to repeat: a job or batch with an Idempotency-Key, a part
with its number. After a restart the API may have another port and key, so its address can be looked
up again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from tierline_client.errors import Forbidden, LimitReached, Unavailable
from tierline_client.transport import Place, Transport

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds."""

    give_up_s: float = 900.0  # without any answer; a restart takes seconds, a reboot minutes
    refused_s: float = 30.0  # for a key that worked before: after a restart there may be a new one
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    longest_asked_s: float = 60.0  # a longer Retry-After is cut to this
    say_after_s: float = 3.0  # of waiting, before `say` is called


class Retrying:
    """Repeats requests during a restart of the API. Before the first answer it does not wait:
    errors are raised at once.

    `find_again` looks up the API's place again, if a restart may change it; it returns None while
    there is none. Without it a rejected key is an error at once. `say` is called once with a
    message that the client waits, and once when the API answers again.
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def call(self, ask: Callable[[Transport], T]) -> T:
        """Call `ask`, repeatedly if needed; return its result. Raises the last TierlineError."""
        bounds = self._patience
        silent_since: float | None = None
        waiting_since: float | None = None
        pause_s = bounds.first_pause_s
        reported = False
        while True:
            try:
                answer = ask(self._connected())
            except (Unavailable, Forbidden) as error:
                now = self._monotonic()
                waiting_since = now if waiting_since is None else waiting_since
                if isinstance(error, LimitReached):
                    # The API answers. There will be capacity, however long the queue takes.
                    self._answered = True
                    silent_since = now
                silent_since = now if silent_since is None else silent_since
                refused = isinstance(error, Forbidden)
                most_s = bounds.refused_s if refused else bounds.give_up_s
                if not self._answered or now - silent_since > most_s:
                    raise
                if refused and self._find_again is None:
                    raise
                if not reported and now - waiting_since > bounds.say_after_s:
                    self._say(f"waiting for the API: {error.message}")
                    reported = True
                retry_after_s = error.retry_after_s if isinstance(error, Unavailable) else None
                self._pause(max(pause_s, min(retry_after_s or 0.0, bounds.longest_asked_s)))
                pause_s = min(pause_s * 2, bounds.longest_pause_s)
                self._look_again()
                continue
            self._answered = True
            if reported:
                self._say("the API answers again")
            return answer

    def _connected(self) -> Transport:
        if self._transport is None:
            self._transport = Transport(self._place, self._user_agent)
        return self._transport

    def _look_again(self) -> None:
        """Drop the connection if the API has another address or key."""
        place = None if self._find_again is None else self._find_again()
        if place is not None and place != self._place:
            self.close()
            self._place = place
