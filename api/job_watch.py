"""Keeps the open event streams of a process up to date: one listener and one poll for all of them.

The end of a job comes as a wake-up (NOTIFY). Everything else is found by polling: one statement for
all watched jobs, and two for each watched account. No statement runs while no stream is open. If a
poll takes long, the next one comes later, so that polling never keeps the database busy.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.access.keys import Caller
from api.access.shown import event_for
from api.http.bodies import encoded
from api.streams import OpenStreams, Stream, chunk
from tierline.base.formats import when
from tierline.rules.job_events import JobEvent, events_of, position
from tierline.services.jobs import job_events
from tierline.services.jobs.read_jobs import find_job
from tierline.services.processes.wake_ups import EndedJobs
from tierline.views.jobs.events import EventRow
from tierline.views.jobs.jobs import JobRow

log = structlog.get_logger(__name__)

POLL_S = 0.25  # how late an event that no wake-up announces may be seen
POLL_SHARE = 20.0  # a poll waits at least this many times as long as the last one took
PAUSE_S = 1.0  # after an error of the database
MOST_REMEMBERED = 20_000  # ended jobs of an account, so that no event of them is sent twice
GAP = "stream.gap"


class JobStream(Stream):
    """The events of one job. It closes after the last one."""

    def __init__(self, caller: Caller, job_id: UUID, after: int = -1) -> None:
        super().__init__(caller)
        self.job_id = job_id
        self.position = after  # the number of the last event that was sent

    def advance(self, row: EventRow, job: JobRow | None) -> None:
        """Send the events since the last one. `job`: the job, once it has ended."""
        for event in events_of(row.facts, self.position):
            shown = event_for(self.caller, row, event, job if event.last else None)
            self.put(chunk(event.type, encoded(shown), str(event.number)))
            self.position = event.number
            if event.last:
                self.close()


class AccountStream(Stream):
    """The events of an account's jobs, without those of batches' rows, shadows and drafts."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        # While the past is read: what comes meanwhile. None: it is not being read.
        self._held: list[tuple[EventRow, JobEvent, str]] | None = None
        self._past: set[tuple[UUID, int]] = set()

    def show(self, row: EventRow, event: JobEvent, cursor: str) -> None:
        if self._held is not None:
            self._held.append((row, event, cursor))
        elif (row.id, event.number) not in self._past:
            self.put(chunk(event.type, encoded(event_for(self.caller, row, event)), cursor))

    def hold(self) -> None:
        """Keep what comes until `replay`."""
        self._held = []

    def replay(self, past: job_events.Past, cursor: str, now: datetime) -> None:
        """Send what happened before, and then what was held, each event once."""
        if not past.whole:
            self.gap(now)
        for row, event in past.events:
            self.put(chunk(event.type, encoded(event_for(self.caller, row, event)), cursor))
            self._past.add((row.id, event.number))
        held, self._held = self._held or [], None
        for row, event, at in held:
            self.show(row, event, at)

    def gap(self, now: datetime) -> None:
        """Say that events may be missing before those that follow."""
        detail = "too much has happened since Last-Event-ID: list the jobs"
        body = {"type": GAP, "timestamp": when(now), "data": {"detail": detail}}
        self.put(chunk(GAP, encoded(body)))


class _Account:
    """One account's jobs, and the events of them that its streams were sent."""

    def __init__(self, account_id: int) -> None:
        self.id = account_id
        self.streams: set[AccountStream] = set()
        self.live: dict[UUID, int] = {}  # jobs that have not ended: the last event's number
        self.ended: dict[UUID, int] = {}
        self.low = 0  # no job that has not ended has a lower `seq`
        self.begun = asyncio.Event()
        self._after = 0  # new jobs have a `seq` above this
        self._before = 0  # the same one poll ago: a lower `seq` may be committed late

    async def begin(self, pool: AsyncConnectionPool[Any]) -> None:
        """Read how things stand. Events are sent from here on."""
        self._after = self._before = await job_events.last_seq(pool, self.id)
        live = await job_events.live_jobs(pool, self.id)
        self.live = {job.id: position(job.status, job.attempts) for job in live}
        self._set_low([job.seq for job in live])
        self.begun.set()

    async def look(self, pool: AsyncConnectionPool[Any]) -> None:
        """Send what has happened since the last look."""
        new = await job_events.new_jobs(pool, self.id, self._before)
        live = await job_events.live_jobs(pool, self.id)
        self._before = self._after
        self._after = max([self._after, *(job.seq for job in new)])
        self._set_low([job.seq for job in live])
        positions = {job.id: position(job.status, job.attempts) for job in live}
        changed = {job_id for job_id, at in positions.items() if at > self.live.get(job_id, -1)}
        changed |= self.live.keys() - positions.keys()
        changed |= {
            job.id
            for job in new
            if job.shown and job.id not in positions and job.id not in self.ended
        }
        await self.read(pool, changed)

    async def read(self, pool: AsyncConnectionPool[Any], job_ids: Collection[UUID]) -> None:
        """Read these jobs and send their new events."""
        if not job_ids:
            return
        rows = await job_events.read_event_rows(pool, list(job_ids))
        for gone in set(job_ids) - {row.id for row in rows}:
            self.live.pop(gone, None)
        news = [
            (row, event)
            for row in rows
            for event in events_of(row.facts, self.live.get(row.id, self.ended.get(row.id, -1)))
        ]
        news.sort(key=lambda pair: (pair[1].at, pair[0].id, pair[1].number))
        for row, event in news:
            self._note(row.id, event)
            if row.feature_version > 0:
                cursor = self.cursor(event.at)
                for stream in self.streams:
                    stream.show(row, event, cursor)

    def cursor(self, at: datetime) -> str:
        """The id of an event at that time, from which a stream can be resumed."""
        return f"{self.low}.{int(at.timestamp() * 1_000_000)}"

    def _note(self, job_id: UUID, event: JobEvent) -> None:
        if not event.last:
            self.live[job_id] = event.number
            return
        self.live.pop(job_id, None)
        self.ended[job_id] = event.number
        while len(self.ended) > MOST_REMEMBERED:
            del self.ended[next(iter(self.ended))]

    def _set_low(self, seqs: Collection[int]) -> None:
        if len(seqs) >= job_events.MOST_LIVE:
            self.low = 0  # there may be older ones
        else:
            self.low = min(seqs, default=self._after + 1)


class JobWatch:
    """The watched jobs and accounts of a process. Run it as a task."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], ended: EndedJobs, streams: OpenStreams
    ) -> None:
        self._pool = pool
        self._streams = streams
        self._jobs: dict[UUID, set[JobStream]] = {}
        self._accounts: dict[int, _Account] = {}
        self._ended: set[UUID] = set()  # of the wake-ups since the last look
        self._woken = asyncio.Event()
        ended.subscribe(self._tell)

    @contextlib.asynccontextmanager
    async def job(self, stream: JobStream) -> AsyncIterator[None]:
        """Keep the stream up to date during the block."""
        with self._streams.counted(stream):
            self._jobs.setdefault(stream.job_id, set()).add(stream)
            self._woken.set()
            try:
                yield
            finally:
                watched = self._jobs[stream.job_id]
                watched.discard(stream)
                if not watched:
                    del self._jobs[stream.job_id]

    @contextlib.asynccontextmanager
    async def account(
        self, stream: AccountStream, since: tuple[int, datetime] | None
    ) -> AsyncIterator[None]:
        """Keep the stream up to date during the block. `since`: the lowest `seq` and the time from
        which the past is sent first."""
        account_id = stream.caller.account_id
        with self._streams.counted(stream):
            account = self._accounts.setdefault(account_id, _Account(account_id))
            if since is not None:
                stream.hold()
            account.streams.add(stream)
            self._woken.set()
            reading = (
                None
                if since is None
                else asyncio.create_task(self._replay(account, stream, *since))
            )
            try:
                yield
            finally:
                if reading is not None:
                    reading.cancel()
                account.streams.discard(stream)
                if not account.streams:
                    del self._accounts[account_id]

    async def _replay(
        self, account: _Account, stream: AccountStream, low: int, since: datetime
    ) -> None:
        await account.begun.wait()
        try:
            past = await job_events.past_events(self._pool, account.id, low, since)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("events_not_replayed", error=type(error).__name__)
            stream.close()  # its reader resumes at the same place
            return
        stream.replay(past, account.cursor(since), since)

    def _tell(self, job_ids: Collection[UUID]) -> None:
        watched = [
            job_id
            for job_id in job_ids
            if job_id in self._jobs
            or any(job_id in account.live for account in self._accounts.values())
        ]
        if watched:
            self._ended.update(watched)
            self._woken.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        pause_s = POLL_S
        next_look_s = 0.0
        while True:
            left_s = next_look_s - time.monotonic()
            watching = bool(self._jobs or self._accounts)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, left_s) if watching else None):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look_at_ended()
                await self._begin_accounts()
                if time.monotonic() >= next_look_s:
                    started_s = time.monotonic()
                    await self._look()
                    now_s = time.monotonic()
                    pause_s = max(POLL_S, POLL_SHARE * (now_s - started_s))
                    next_look_s = now_s + pause_s
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("events_late", error=type(error).__name__)
                next_look_s = 0.0
                await asyncio.sleep(PAUSE_S)

    async def _look_at_ended(self) -> None:
        ended, self._ended = self._ended, set()
        await self._read_jobs(ended & self._jobs.keys())
        for account in list(self._accounts.values()):
            await account.read(self._pool, ended & account.live.keys())

    async def _begin_accounts(self) -> None:
        for account in list(self._accounts.values()):
            if not account.begun.is_set():
                await account.begin(self._pool)

    async def _look(self) -> None:
        watched = list(self._jobs)
        live = await job_events.live_positions(self._pool, watched) if watched else {}
        await self._read_jobs(
            job_id
            for job_id in watched
            if job_id not in live
            or any(stream.position < live[job_id] for stream in self._jobs.get(job_id, ()))
        )
        for account in list(self._accounts.values()):
            if account.begun.is_set():
                await account.look(self._pool)

    async def _read_jobs(self, job_ids: Iterable[UUID]) -> None:
        ids = list(job_ids)
        if not ids:
            return
        rows = {row.id: row for row in await job_events.read_event_rows(self._pool, ids)}
        for job_id in ids:
            row = rows.get(job_id)
            job = None
            if row is not None and row.completed_at is not None:
                job = await find_job(self._pool, row.account_id, job_id)
            for stream in list(self._jobs.get(job_id, ())):
                if row is None:
                    stream.close()  # the job was removed
                else:
                    stream.advance(row, job)
