"""What the requests of one API process share, and how a route gets it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, cast
from uuid import UUID

from fastapi import Depends, Request
from psycopg import Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from api.access.keys import Keys
from api.access.openid import OpenIdSignIn
from api.access.rates import Rates
from api.health.metrics import Metrics
from api.health.readiness import Health
from api.http.cold import CALLER, Cold, Reports
from api.job_watch import JobWatch
from api.streams import OpenStreams
from tierline.base.settings import Settings
from tierline.services.jobs.submitting.submit import Submitter
from tierline.services.processes.wake_ups import EndedJobs, ReadyNotifier
from tierline.services.reports.installation import QueueDepths
from tierline.services.reports.last_hour import LastHour

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


@dataclass
class State:
    """Opened and closed with the app."""

    settings: Settings
    pool: AsyncConnectionPool[Any]  # for the hot routes
    cold_pool: ConnectionPool[Any]  # for ordinary routes that run in a thread
    cold: Cold  # the same, for routes written as `def`
    reports: Reports
    submitter: Submitter
    keys: Keys
    rates: Rates
    ready: ReadyNotifier  # call .ready() after a commit that gives a dispatcher something to do
    ended: EndedJobs
    streams: OpenStreams
    job_watch: JobWatch  # keeps the open streams up to date
    health: Health
    metrics: Metrics
    openid: OpenIdSignIn | None = None  # sign-in by OpenID Connect, if it is configured
    last_hour: LastHour = field(default_factory=LastHour)
    queues: QueueDepths = field(default_factory=QueueDepths)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def with_connection(
        self,
        service: Callable[Concatenate[Connection[Any], Arguments], Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Call a service in a thread with a cold connection."""
        with self.cold_pool.connection() as connection:
            return service(connection, *args, **kwargs)

    def tell_ended(self, job_id: UUID) -> None:
        """Wake callers that wait for the job, and the sender of its webhooks; from any thread."""
        self.loop.call_soon_threadsafe(self.ended.wake, (job_id,))
        self.loop.call_soon_threadsafe(self.ready.ready)


SEARCHED = (
    *("feature", "tier", "status", "verdict", "user", "session", "metadata", "escalated"),
    *("endpoint_id", "count"),
)
"""Parameters of lists of jobs and deliveries with which thousands of rows may be examined."""


def state_of(request: Request) -> State:
    """The state of the app that `request` came to."""
    return cast(State, request.app.state.tierline)


async def _connection(request: Request) -> AsyncIterator[Connection[Any]]:
    account_id = request.scope[CALLER].account_id
    async with state_of(request).cold.connection(request, account_id) as connection:
        yield connection


async def _late(request: Request) -> AsyncIterator[Connection[Any]]:
    account_id = request.scope[CALLER].account_id
    cold = state_of(request).cold
    late = "ids" not in request.query_params  # who names jobs may have just written them
    if any(request.query_params.get(name) for name in SEARCHED):
        # A list of another account must not wait for it.
        reports = state_of(request).reports
        async with reports.connection(request, account_id, late=late) as connection:
            yield connection
        return
    async with cold.connection(request, account_id, late=late) as connection:
        yield connection


async def _late_report(request: Request) -> AsyncIterator[Connection[Any]]:
    account_id = request.scope[CALLER].account_id
    reports = state_of(request).reports
    async with reports.connection(request, account_id, late=True) as connection:
        yield connection


async def _report(request: Request) -> AsyncIterator[Connection[Any]]:
    account_id = request.scope[CALLER].account_id
    async with state_of(request).reports.connection(request, account_id) as connection:
        yield connection


# Given back before the answer is sent, so that slow readers hold no connection.
Database = Annotated[Connection[Any], Depends(_connection, scope="function")]
"""An autocommit connection for routes written as `def`, which run in a thread. For reading or
writing a bounded number of rows."""

Report = Annotated[Connection[Any], Depends(_report, scope="function")]
"""The same for routes that read any number of rows; statements end when the caller hangs up."""

LateDatabase = Annotated[Connection[Any], Depends(_late, scope="function")]
"""`Database` for lists that may miss the last seconds: of the replica, if there is one. Never for
reading what the same caller has just written. A query with `ids` reads the primary."""

LateReport = Annotated[Connection[Any], Depends(_late_report, scope="function")]
"""`Report`, in the same way."""

Shared = Annotated[State, Depends(state_of)]
