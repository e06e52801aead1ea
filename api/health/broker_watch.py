"""Whether the broker answers, checked in the background.

So a caller that asks for this process's health never waits for a broker that hangs. A connection
that is open but silent, as with a frozen broker, is found by the time limit for an answer.
"""

import asyncio
import time

import redis.asyncio
import redis.exceptions
import structlog

from tierline.base.errors import TierlineError
from tierline.base.settings import Settings

log = structlog.get_logger(__name__)

EVERY_S = 5.0
ANSWER_S = 2.0  # the limit for an answer; a silent broker is noticed after both times at most
FIRST_S = 1.0  # how long a caller waits for the very first answer
KEY = "tierline:asked"
KEPT_MS = 60_000


class BrokerWatch:
    """Writes one small key every EVERY_S. PING would succeed on a full broker; a write does not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: redis.asyncio.Redis | None = None
        self._asked = asyncio.Event()
        self._reason: str | None = None
        self._answered_s = time.monotonic()

    @property
    def answers(self) -> bool:
        """Whether it answered the last check."""
        return self._asked.is_set() and self._reason is None

    async def reason(self) -> str | None:
        """What is wrong with it, or None if it answers."""
        if not self._asked.is_set():
            try:
                await asyncio.wait_for(self._asked.wait(), FIRST_S)
            except TimeoutError:
                return "has not answered yet: jobs are accepted and wait"
        if self._reason is None:
            return None
        silent_s = time.monotonic() - self._answered_s
        return f"{self._reason}, for {silent_s:.0f} s: jobs are accepted and wait"

    async def run(self) -> None:
        """Check every EVERY_S, until cancelled."""
        try:
            while True:
                before = self._reason
                await self._ask()
                _pass_on_cancellation()
                if self._reason != before:
                    log.warning("broker", state=self._reason or "answers")
                self._asked.set()
                await asyncio.sleep(EVERY_S)
        finally:
            await self._close()

    async def _ask(self) -> None:
        try:
            if self._client is None:
                self._client = redis.asyncio.Redis.from_url(
                    self._settings.broker, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
                )
            async with asyncio.timeout(ANSWER_S):
                await self._client.set(KEY, 1, px=KEPT_MS)
        except TierlineError as error:
            self._reason = error.message
        except redis.exceptions.ResponseError as error:
            self._reason = f"answers but accepts no writes ({type(error).__name__})"
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            self._reason = f"does not answer ({type(error).__name__})"
            await self._close()
        else:
            self._reason = None
            self._answered_s = time.monotonic()

    async def _close(self) -> None:
        """Close the connection, so that the next check opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _pass_on_cancellation() -> None:
    """Raise the cancellation that redis-py swallows while it connects, or the stop would hang."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
