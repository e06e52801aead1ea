"""Carries out steps with httpx.AsyncClient, in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx

from tierline_client import calls
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
    STREAM,
    WATCH,
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
    Watch,
    advance,
    send,
)
from tierline_client.waiting import ENDED

T = TypeVar("T")

AT_ONCE = 16
"""Requests without a wait. More would queue in httpx, whose time for each request grows with the
number of those that are open or queued: 300 at once took 9 ms of processor time each.
"""
WATCHED_AT_ONCE = 200  # jobs of one request
WATCH_PAUSE_S = 0.5
WATCH_FAILED_S = 2.0


class AsyncDriver:
    """One connection pool. `http`: the caller's own, which is left open."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._own = http is None
        self._http = http or httpx.AsyncClient(**settings.client_options())
        self._pause = pause
        self._streams = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._watched: dict[str, set[asyncio.Future[dict[str, Any]]]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._own:
            await self._http.aclose()

    async def run(self, steps: Steps[T]) -> T:
        """The result of steps that emit nothing. Raises TierlineErrors."""
        outcome: Outcome = (None, None)
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome = await self._outcome(step)

    async def iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
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
                    outcome = await self._outcome(step)
        finally:
            steps.close()

    async def _outcome(self, step: Step) -> Outcome:
        try:
            return await self._do(step), None
        except TierlineError as error:
            return None, error

    async def _do(self, step: Step) -> Any:
        match step:
            case Send():
                return await self._send(step)
            case Follow():
                return await self._follow(step)
            case Watch():
                return await self._watch(step)
            case Sleep(seconds):
                await self._pause(seconds)
                return None
            case Now():
                return time.monotonic()
            case AskRoom():
                return STREAM if self._streams < MOST_STREAMS else WATCH
            case _:
                raise TypeError(f"the async driver cannot do {type(step).__name__}")

    async def _send(self, step: Send) -> Answer:
        if step.waits:
            self._streams += 1
            try:
                return await self._request(step)
            finally:
                self._streams -= 1
        async with self._turns:
            return await self._request(step)

    async def _request(self, step: Send) -> Answer:
        try:
            response = await self._http.request(
                **request_of(step.call, self.settings), timeout=timeout_of(self.settings)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self.settings, error) from None
        return answer_of(step.call, response, response.content)

    async def _follow(self, step: Follow) -> Followed:
        reading = Reading(step)
        self._streams += 1
        try:
            async with (
                asyncio.timeout(step.timeout_s),
                self._http.stream(
                    **stream_of(step, self.settings), timeout=stream_timeout(step)
                ) as response,
            ):
                if not is_stream(response):
                    return refused(step, response, await response.aread())
                # The stream ends with the job, and the connection can be used again.
                async for chunk in response.aiter_bytes():
                    reading.feed(chunk)
        except TimeoutError:
            pass
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure(self.settings, error)  # logged; the next request tells what is wrong
        finally:
            self._streams -= 1
        return reading.followed

    async def _watch(self, step: Watch) -> dict[str, Any] | None:
        """Wait for the job together with others. Raises a TierlineError that does not pass."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        waiting = self._watched.setdefault(step.job_id, set())
        waiting.add(future)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(step.timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            waiting.discard(future)
            if not waiting and self._watched.get(step.job_id) is waiting:
                del self._watched[step.job_id]

    async def _look(self) -> None:
        """Read the watched jobs, 200 in a request, until none is watched."""
        while self._watched:
            ids = list(self._watched)
            pause_s = WATCH_PAUSE_S
            for start in range(0, len(ids), WATCHED_AT_ONCE):
                some = ids[start : start + WATCHED_AT_ONCE]
                try:
                    jobs = await self.run(send(calls.get_jobs(some), self.settings.retries))
                except TierlineError:
                    # Each waiting call then sends its own request and handles the error.
                    pause_s = WATCH_FAILED_S
                    self._settle(some, {})
                else:
                    by_id = {job["id"]: job for job in jobs}
                    self._settle([one for one in some if one not in by_id], {})
                    self._settle(
                        [one for one, job in by_id.items() if job["status"] in ENDED], by_id
                    )
            await self._pause(pause_s)

    def _settle(self, ids: list[str], jobs: dict[str, dict[str, Any]]) -> None:
        for job_id in ids:
            for future in self._watched.get(job_id, ()):
                if not future.done():
                    future.set_result(jobs.get(job_id, {}))
