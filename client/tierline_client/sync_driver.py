"""Carries out steps with httpx.Client. May be used by several threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx

from tierline_client.calls import Answer
from tierline_client.driver import (
    Reading,
    answer_of,
    failure,
    is_stream,
    refused,
    request_of,
    stream_of,
    stream_timeout,
    timeout_of,
)
from tierline_client.errors import TierlineError
from tierline_client.settings import MOST_STREAMS, Settings
from tierline_client.steps import (
    POLL,
    STREAM,
    AskRoom,
    Emit,
    Follow,
    Followed,
    Now,
    Outcome,
    Send,
    Sleep,
    Step,
    Steps,
    advance,
)

T = TypeVar("T")


class SyncDriver:
    """One connection pool. `http`: the caller's own, which is left open."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.Client | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self._own = http is None
        self._http = http or httpx.Client(**settings.client_options())
        self._pause = pause
        self._streams = 0

    def close(self) -> None:
        if self._own:
            self._http.close()

    def run(self, steps: Steps[T]) -> T:
        """The result of steps that emit nothing. Raises TierlineErrors."""
        outcome: Outcome = (None, None)
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome = self._outcome(step)

    def iterate(self, steps: Steps[None]) -> Iterator[Any]:
        """What the steps emit."""
        outcome: Outcome = (None, None)
        try:
            while True:
                try:
                    step = advance(steps, outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    outcome = (None, None)
                    yield step.item
                else:
                    outcome = self._outcome(step)
        finally:
            steps.close()

    def _outcome(self, step: Step) -> Outcome:
        try:
            return self._do(step), None
        except TierlineError as error:
            return None, error

    def _do(self, step: Step) -> Any:
        match step:
            case Send():
                return self._send(step)
            case Follow():
                return self._follow(step)
            case Sleep(seconds):
                self._pause(seconds)
                return None
            case Now():
                return time.monotonic()
            case AskRoom():
                return STREAM if self._streams < MOST_STREAMS else POLL
            case _:
                raise TypeError(f"the sync driver cannot do {type(step).__name__}")

    def _send(self, step: Send) -> Answer:
        self._streams += step.waits
        try:
            response = self._http.request(
                **request_of(step.call, self.settings), timeout=timeout_of(self.settings)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self.settings, error) from None
        finally:
            self._streams -= step.waits
        return answer_of(step.call, response, response.content)

    def _follow(self, step: Follow) -> Followed:
        reading = Reading(step)
        until_s = None if step.timeout_s is None else time.monotonic() + step.timeout_s
        self._streams += 1
        try:
            with self._http.stream(
                **stream_of(step, self.settings), timeout=stream_timeout(step)
            ) as response:
                if not is_stream(response):
                    return refused(step, response, response.read())
                # The stream ends with the job, and the connection can be used again.
                for chunk in response.iter_bytes():
                    reading.feed(chunk)
                    if until_s is not None and time.monotonic() >= until_s:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure(self.settings, error)  # logged; the next request tells what is wrong
        finally:
            self._streams -= 1
        return reading.followed
