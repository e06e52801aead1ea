"""Connections for routes that run in a thread, with limits so that no account uses them all.

Ordinary routes read a bounded page. Reports read as much as there is, on a pool of their own.
Postgres ends each statement when its time is over. A request that only reads is also ended when its
caller has hung up or the process stops.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import structlog
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.requests import Request

from api.http.problems import Refused, limit_reached
from tierline.base.errors import Unavailable
from tierline.services.processes.replica import Replica

Result = TypeVar("Result")

log = structlog.get_logger(__name__)

COLD_CONNECTIONS = 4  # for ordinary routes
REPORT_CONNECTIONS = 5  # for reports; one of them is only for /metrics
COLD_WAIT_S = 2.0  # for a connection, or for the account's turn
CANCEL_S = 2.0  # the limit for one try to cancel a statement
CANCEL_AGAIN_S = 0.1  # between tries, because a report may already be in its next statement
_BUSY = "the maximum of reports is running: ask again later"
_STOPPING = "the process is stopping: ask again"
CALLER = "tierline.caller"
"""The key in a request's scope of its Caller, once the API key was accepted."""
LAG_S = "tierline.lag_s"
"""The same of the replica's lag in seconds, if the replica was read."""


@dataclass(frozen=True)
class ReplicaPool:
    """Connections to the replica, and whether it may be read."""

    pool: ConnectionPool[Any]
    replica: Replica


class _Connections:
    """A pool whose statements Postgres ends after `within_s` seconds, or earlier on request.

    `copy`: the replica, for reads that may be late.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        within_s: float,
        too_slow: str,
        copy: ReplicaPool | None = None,
    ) -> None:
        self.pool = pool
        self._copy = copy
        self._within_s = within_s
        self._message = too_slow
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the watched statements and start no more, because the process stops."""
        self._stopping.set()

    def _too_slow(self) -> Refused:
        return Refused("too-slow", self._message)

    @contextlib.asynccontextmanager
    async def _plain(self) -> AsyncIterator[Connection[Any]]:
        async with contextmanager_in_threadpool(self.pool.connection()) as connection:
            try:
                yield connection
            except psycopg.errors.QueryCanceled:
                raise self._too_slow() from None

    @contextlib.asynccontextmanager
    async def _watched(
        self, request: Request | None, within_s: float | None, *, late: bool = False
    ) -> AsyncIterator[Connection[Any]]:
        """A connection whose statement is ended when the caller of `request` hangs up, the process
        stops or `within_s` seconds have passed, whichever statement is running then.

        `late`: what it reads may be a little old, so that it may be the replica's.
        """
        if self._stopping.is_set():
            raise Unavailable(_STOPPING)
        async with self._opened(request, late=late) as connection:
            ended = asyncio.Event()
            watch = asyncio.create_task(self._watch(connection, request, within_s, ended))
            try:
                yield connection
            except psycopg.errors.QueryCanceled:
                ended.set()
                raise (await watch or self._too_slow()) from None
            finally:
                ended.set()
                if await watch is not None:
                    # Postgres may still act on the cancellation: do not reuse it.
                    connection.close()

    @contextlib.asynccontextmanager
    async def _opened(
        self, request: Request | None, *, late: bool
    ) -> AsyncIterator[Connection[Any]]:
        copy = self._copy
        if late and copy is not None and copy.replica.usable:
            try:
                connection = await run_in_threadpool(copy.pool.getconn)
            except (psycopg.Error, PoolTimeout) as error:
                copy.replica.see_away(type(error).__name__)
            else:
                if request is not None:
                    request.scope[LAG_S] = copy.replica.lag_s
                try:
                    yield connection
                finally:
                    await run_in_threadpool(copy.pool.putconn, connection)
                return
        async with contextmanager_in_threadpool(self.pool.connection()) as connection:
            yield connection

    async def _watch(
        self,
        connection: Connection[Any],
        request: Request | None,
        within_s: float | None,
        ended: asyncio.Event,
    ) -> Exception | None:
        """Wait until the work has `ended`, and cancel it if there is a reason to.

        Returns the reason, as the answer to the caller.
        """
        left = asyncio.create_task(_hung_up(request))
        stop = asyncio.create_task(self._stopping.wait())
        end = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait(
                {left, stop, end}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
            if end.done():
                return None
            reason: Exception = self._too_slow()
            if left.done():
                reason = Refused("caller-left", "the caller hung up")
            elif stop.done():
                reason = Unavailable(_STOPPING)
            route = None if request is None else request.scope.get("route")
            log.info("report_ended_early", why=str(reason), route=getattr(route, "path", None))
            while not ended.is_set():
                await _cancel(connection)
                await asyncio.wait({end}, timeout=CANCEL_AGAIN_S)
            return reason
        finally:
            for task in (left, stop, end):
                task.cancel()


class Cold(_Connections):
    """The ordinary routes' connections. An account always leaves one to the others."""

    def __init__(
        self, pool: ConnectionPool[Any], within_s: float, copy: ReplicaPool | None = None
    ) -> None:
        super().__init__(
            pool,
            within_s,
            f"it took longer than {within_s:g} s (TIERLINE_STATEMENT_TIMEOUT_S) and was ended: ask"
            " for less at a time, or ask again when the database is less busy",
            copy,
        )
        self._turns: dict[int, asyncio.Semaphore] = {}

    @contextlib.asynccontextmanager
    async def connection(
        self, request: Request, account_id: int, *, late: bool = False
    ) -> AsyncIterator[Connection[Any]]:
        """A connection for the time of the block. Raises Refused (429, 504), Unavailable and
        PoolTimeout.

        `late`: for a list that may miss the last seconds.

        A request that only reads is ended when its caller hangs up. Waiting for the account's other
        requests takes no thread.
        """
        most = COLD_CONNECTIONS - 1
        busy = limit_reached(
            f"{most} slow requests of the account are running, its maximum: ask for less at a time",
            COLD_WAIT_S,
        )
        reads = request.method == "GET"
        async with (
            _turn(_of(self._turns, account_id, most), busy),
            self._watched(request, None, late=late) if reads else self._plain() as connection,
        ):
            yield connection


class Reports(_Connections):
    """The connections of reports. One per process.

    `most`: how many an account may run at once. `within_s`: how long one may take.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        within_s: float,
        most: int,
        copy: ReplicaPool | None = None,
    ) -> None:
        super().__init__(
            pool,
            within_s,
            f"it took longer than {within_s:g} s (TIERLINE_REPORT_TIMEOUT_S) and was ended: ask for"
            " a shorter range, by `from` and `to` where the route takes them",
            copy,
        )
        self._most = most
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._all = asyncio.Semaphore(REPORT_CONNECTIONS - 1)
        self._metrics = asyncio.Semaphore(1)

    @contextlib.asynccontextmanager
    async def connection(
        self, request: Request, account_id: int, *, whole: bool = True, late: bool = False
    ) -> AsyncIterator[Connection[Any]]:
        """A connection for a report, whose statements are ended when the caller hangs up.

        `late`: for one that may miss the last seconds.

        With `whole`, the time limit is for all statements together, not for each. Use it for a
        request whose body was read. Raises Refused (429, 504), Unavailable and PoolTimeout.
        """
        most = limit_reached(
            f"the account may run {self._most} reports at once (TIERLINE_MAX_REPORTS)", COLD_WAIT_S
        )
        async with (
            _turn(_of(self._turns, account_id, self._most), most),
            _turn(self._all, Unavailable(_BUSY)),
            self._watched(request, self._within_s if whole else None, late=late) as connection,
        ):
            yield connection

    @contextlib.asynccontextmanager
    async def metrics(self) -> AsyncIterator[Connection[Any]]:
        """The connection of /metrics, one scrape at a time.

        It continues when its caller has hung up, because the result is cached for the next scrape.
        """
        async with (
            _turn(self._metrics, Unavailable(_BUSY)),
            self._watched(None, self._within_s, late=True) as connection,
        ):
            yield connection

    async def work(
        self, request: Request, account_id: int, work: Callable[[Connection[Any]], Result]
    ) -> Result:
        """Call `work` in a thread with a report's connection, and return its result.

        For work that reads a history, calculates, and writes the result. Only its statements have
        the time limit of a report. If it is ended early, it has written nothing or everything.
        """
        async with self.connection(request, account_id, whole=False) as connection:
            return await run_in_threadpool(work, connection)


def _of(turns: dict[int, asyncio.Semaphore], account_id: int, most: int) -> asyncio.Semaphore:
    return turns.setdefault(account_id, asyncio.Semaphore(most))


@contextlib.asynccontextmanager
async def _turn(turns: asyncio.Semaphore, otherwise: Exception) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(COLD_WAIT_S):
            await turns.acquire()
    except TimeoutError:
        raise otherwise from None
    try:
        yield
    finally:
        turns.release()


async def _hung_up(request: Request | None) -> None:
    """Return when the caller has disconnected; without a request, never."""
    while request is not None:
        try:
            message = await request.receive()
        except Refused:  # an unexpected body that is too large; its sender still waits
            break
        if message["type"] == "http.disconnect":
            return
    await asyncio.Event().wait()


async def _cancel(connection: Connection[Any]) -> None:
    # In a thread of asyncio's own, because the routes' threads may all be busy.
    try:
        await asyncio.to_thread(connection.cancel_safe, timeout=CANCEL_S)
    except psycopg.Error as error:  # the next try may succeed, and Postgres has its own limit
        log.warning("report_not_cancelled", error=type(error).__name__)
