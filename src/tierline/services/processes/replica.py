"""Whether reads that may be late can go to the replica of DATABASE_READ_URL.

They can while it answers, its lag is known, and the lag is within the bound. Otherwise the primary
is read. One per process.
"""

import asyncio
import time
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tierline.rules.replica_lag import LagMeter
from tierline.storage.db import replica
from tierline.storage.db.async_pool import create_async_pool

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
SILENT_S = 3.0  # without an answer for so long, a server counts as away
NO_REPLICA = "DATABASE_READ_URL is no replica: it is not in recovery"
UNKNOWN = "its lag is not known yet"


class Replica:
    """Checks the replica every LOOK_EVERY_S."""

    def __init__(self, url: str, name: str, primary: AsyncConnectionPool[Any], most_s: float):
        """`most_s`: the lag in seconds above which the primary is read."""
        self._pool = create_async_pool(url, f"{name}-replica-watch", 1)
        self._primary = primary
        self._most_s = most_s
        self._meter = LagMeter()
        self._looked_s = -SILENT_S  # monotonic
        self.lag_s: float | None = None  # at the last look; None: unknown
        self.reason: str | None = UNKNOWN  # why the primary is read; None: the replica is

    @property
    def usable(self) -> bool:
        """Whether the replica may be read now."""
        return self.reason is None and time.monotonic() - self._looked_s < 2 * SILENT_S

    def see_away(self, kind: str) -> None:
        """It could not be read, so the primary is, until the next look finds it well."""
        self._set(f"it does not answer ({kind})", None)

    async def run(self) -> None:
        """Check until cancelled."""
        await self._pool.open()
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await self._pool.close(timeout=1.0)

    async def look(self) -> None:
        """Check once."""
        try:
            async with asyncio.timeout(SILENT_S), self._primary.connection() as connection:
                written = await replica.written(connection)
            self._meter.note(written, time.monotonic())
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
            self._set(f"its lag is unknown: the primary does not answer ({_kind(error)})", None)
            return
        try:
            async with asyncio.timeout(SILENT_S), self._pool.connection() as connection:
                replayed = await replica.replayed(connection)
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
            self.see_away(_kind(error))
            return
        now_s = self._looked_s = time.monotonic()
        if replayed is None:
            self._set(NO_REPLICA, None)
            return
        lag_s = self._meter.lag_s(replayed, now_s)
        if lag_s is None:
            self._set("it is behind by more than is known", None)
        elif lag_s > self._most_s:
            bound = f"{self._most_s:g} s (TIERLINE_REPLICA_LAG_S)"
            self._set(f"it is {lag_s:.0f} s behind, and at most {bound} are allowed", lag_s)
        else:
            self._set(None, lag_s)

    def _set(self, reason: str | None, lag_s: float | None) -> None:
        before, self.reason, self.lag_s = self.reason, reason, lag_s
        if (before is None) != (reason is None):
            if reason is None:
                log.info("replica_read", lag_s=lag_s)
            else:
                log.warning("replica_not_read", reason=reason)


def _kind(error: BaseException) -> str:
    return type(error).__name__
