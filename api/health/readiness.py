"""Whether this process can serve, and what is missing around it.

Not ready means only that Postgres is unusable; a Postgres that accepts no writes is unusable. Other
faults (a broker that is away, a queue without a worker, a model without a key) are reported, and
jobs are still accepted.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from api.health.broker_watch import BrokerWatch
from api.http.problems import UNMIGRATED
from tierline.base.errors import Unavailable
from tierline.base.settings import Settings
from tierline.rules import queues
from tierline.services.processes.replica import Replica
from tierline.services.upkeep import health
from tierline.services.upkeep.health import FeatureWatch, Revisions
from tierline.services.upkeep.partitions import partition_problems

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
ANSWER_S = 1.5  # how long /readyz waits for Postgres; then it reports what it knows
SILENT_S = 5.0  # Postgres is unusable after this time without an answer; a busy one may be late
LAST_LOOK_S = 0.5  # how long a check may take to end by itself when the process stops
FEATURES_EVERY_S = 10.0
NO_WRITES = "the database accepts no writes: it is a replica, or set to be read-only"
WORKED = (queues.SLM, queues.DEEPER, queues.WEBHOOKS, queues.QUARANTINE, queues.MAINTENANCE)


class Health:
    """Checks the parts around this process regularly. One per process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        cold_pool: ConnectionPool[Any],
        settings: Settings,
        replica: Replica | None = None,
    ) -> None:
        self.replica = replica  # None: DATABASE_READ_URL is not set
        self._pool = pool
        self._cold_pool = cold_pool
        self._settings = settings
        self._revisions = Revisions()
        self._wrong_schema: str | None = None
        self._newer_schema: str | None = None
        self._beats: dict[UUID, tuple[int, float]] = {}  # heartbeat, and when it last changed
        self._threads: dict[str, int] = {}  # of live workers, by queue
        self._dispatchers = 1
        self._circuits: dict[str, str] = {}  # open circuits, with their reasons
        self._features: tuple[float, dict[str, str]] = (-FEATURES_EVERY_S, {})
        self._watch = FeatureWatch()
        self._reading: asyncio.Task[dict[str, str]] | None = None
        self._database: str | None = None
        self._answered_s = -SILENT_S  # monotonic; before the first answer it counts as silent
        self._looking: asyncio.Task[None] | None = None
        self.broker = BrokerWatch(settings)

    @property
    def dispatchers(self) -> int:
        """How many dispatchers are connected to the database."""
        return self._dispatchers

    @property
    def threads(self) -> Mapping[str, int]:
        """How many threads live workers have for each queue."""
        return self._threads

    def refuse_unmigrated(self) -> None:
        """Raises Unavailable while the database is known to be of an older version."""
        if self._wrong_schema is not None:
            raise Unavailable(self._wrong_schema)

    async def run(self) -> None:
        """Check every LOOK_EVERY_S, until cancelled."""
        try:
            while True:
                before = self._database
                await self.look()
                if self._database != before:
                    log.info("database", state=self._database or "answers")
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            if self._looking is not None:
                await asyncio.wait({self._looking}, timeout=LAST_LOOK_S)
                self._looking.cancel()

    async def look(self) -> str | None:
        """Check Postgres once. Returns why it cannot be used, or None.

        A call during another check gets that check's result. With a frozen server psycopg needs ten
        seconds to give up; callers do not wait for that.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look")
        await asyncio.wait({self._looking}, timeout=ANSWER_S)
        if self._looking.done():
            self._looking.result()
        elif time.monotonic() - self._answered_s > SILENT_S:
            self._see_silence("TimeoutError")
        return self._database

    async def _look(self) -> None:
        try:
            async with self._pool.connection(timeout=SILENT_S) as connection:
                async with asyncio.timeout(SILENT_S):
                    self._see_revision(await health.revision(connection))
                    if self._wrong_schema is None:
                        around = await health.look_around(connection)
                        self._see_beats(around.beats)
                        self._dispatchers = around.dispatchers
                        self._circuits = {
                            f"circuit:{model}": reason for model, reason in around.circuits.items()
                        }
                    writable = await health.takes_writes(connection)
            self._answered_s = time.monotonic()
            self._database = self._wrong_schema or (None if writable else NO_WRITES)
        except psycopg.errors.UndefinedTable:
            self._wrong_schema = self._database = UNMIGRATED
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
            self._see_silence(type(error).__name__)

    async def degraded(self) -> dict[str, str]:
        """What is wrong around a process that is ready, by part."""
        problems: dict[str, str] = {}
        if self._newer_schema is not None:
            problems["database"] = self._newer_schema
        if self.replica is not None and self.replica.reason is not None:
            problems["replica"] = f"the primary is read instead: {self.replica.reason}"
        broker = await self.broker.reason()
        if broker is not None:
            problems["broker"] = broker
        if not self._dispatchers:
            problems["dispatcher"] = "none is connected: jobs are accepted and wait"
        for queue in WORKED:
            if not self._threads.get(queue):
                problems[f"queue:{queue}"] = "no live worker serves it"
        return problems | self._circuits | await self._models()

    def _see_silence(self, kind: str) -> None:
        # Heartbeats could not be read meanwhile, so their silence says nothing about the workers.
        self._beats.clear()
        self._database = f"Postgres does not answer ({kind})"

    def _see_revision(self, revision: str | None) -> None:
        self._wrong_schema = self._newer_schema = None
        if revision == self._revisions.head:
            return
        if revision is None:
            self._wrong_schema = UNMIGRATED
        elif revision in self._revisions.known:
            self._wrong_schema = (
                f"the database is at revision {revision} and this version needs"
                f" {self._revisions.head}: run 'tierline db upgrade'"
            )
        else:
            self._newer_schema = f"its revision {revision} is newer than this process"

    def _see_beats(self, rows: list[tuple[UUID, list[str], int, int]]) -> None:
        now = time.monotonic()
        threads: dict[str, int] = {}
        seen: dict[UUID, tuple[int, float]] = {}
        for worker, worked, count, beat in rows:
            last = self._beats.get(worker)
            changed = now if last is None or last[0] != beat else last[1]
            seen[worker] = (beat, changed)
            if now - changed < self._settings.lease_s:
                for queue in worked:
                    threads[queue] = threads.get(queue, 0) + count
        self._beats = seen
        self._threads = threads

    async def _models(self) -> dict[str, str]:
        checked_s, problems = self._features
        if time.monotonic() - checked_s <= FEATURES_EVERY_S:
            return problems
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(self._missing))
        # Postgres answered a moment ago; if it is silent now, the next check of it reports that.
        await asyncio.wait({self._reading}, timeout=ANSWER_S)
        if not self._reading.done():
            return {"features": "could not be checked (TimeoutError)"}
        try:
            problems = self._reading.result()
        except (psycopg.Error, PoolTimeout) as error:
            return {"features": f"could not be checked ({type(error).__name__})"}
        self._features = (time.monotonic(), problems)
        return problems

    def _missing(self) -> dict[str, str]:
        with self._cold_pool.connection() as connection:
            return self._watch.problems(connection) | partition_problems(connection)
