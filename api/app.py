"""The app: its routes, what they share, and its OpenAPI document."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi_swagger import patch_fastapi

from api.access.keys import Keys
from api.access.openid import OpenIdSignIn
from api.access.rates import Rates
from api.console.routes import ROUTES as CONSOLE_ROUTES
from api.document.openapi import document
from api.health.metrics import Metrics
from api.health.readiness import Health
from api.http import problems
from api.http.cold import COLD_CONNECTIONS, COLD_WAIT_S, REPORT_CONNECTIONS, Cold, Reports
from api.http.front import Front
from api.http.hot_routes import HotRoutes
from api.job_watch import JobWatch
from api.openai import batch_routes, chat_routes, file_routes, model_routes, response_routes
from api.replica import ReplicaPools
from api.routes import probes
from api.routes.accounts import accounts, audit, people
from api.routes.batches import batches
from api.routes.evidence import (
    calibrations,
    datasets,
    drift,
    evaluations,
    feedback,
    promotions,
    threshold_searches,
)
from api.routes.features import drafts, features
from api.routes.jobs import bulk_actions, decisions, events, jobs, read, submit, submit_many
from api.routes.money import budgets, plans, prices
from api.routes.reports import feature_reports, reports
from api.routes.training import artefacts, trainings
from api.routes.upkeep import content
from api.routes.webhooks import endpoints
from api.state import State
from api.streams import OpenStreams
from tierline.base.settings import Settings, settings
from tierline.services.jobs.submitting.submit import Submitter
from tierline.services.processes.connections import api_pool, bounded_pool
from tierline.services.processes.wake_ups import EndedJobs, ReadyNotifier

ROUTES = (
    *(
        submit,
        read,
        submit_many,
        jobs,
        bulk_actions,
        events,
        trainings,
        artefacts,
        content,
        datasets,
        evaluations,
        promotions,
        feedback,
        decisions,
        calibrations,
        threshold_searches,
        feature_reports,
        budgets,
        plans,
        batches,
        features,
        drafts,
        drift,
        prices,
        reports,
    ),
    *(endpoints, accounts, people, audit, probes),
)
OPENAI_ROUTERS = (
    model_routes.router,
    response_routes.hot,
    response_routes.router,
    chat_routes.hot,
    file_routes.router,
    batch_routes.router,
)
"""The routes in the form of OpenAI's API, which the OpenAPI document leaves to docs/openai.md."""
NAME = "api"

DESCRIPTION = """\
Asynchronous language-model jobs. A small model answers first, every answer is checked, and what
fails a check gets deeper analysis. Submit a job, then poll it, wait for it, or receive a webhook.

Errors are problem details (RFC 9457); lists are pages with a cursor.
"""


def create_app(config: Settings | None = None) -> Front:
    """The API over the database of `config`; by default the process's own settings."""
    config = config or settings()
    metrics = Metrics()
    app = create_routes(config, metrics)

    def stop() -> None:
        state = cast(State, app.state.tierline)
        state.streams.stop()
        state.cold.stop()
        state.reports.stop()

    hot = HotRoutes(route for router in _routers() for route in router.routes)
    return Front(app, hot, config, metrics.requests, stop)


def _routers() -> Iterator[APIRouter]:
    yield from (module.router for module in ROUTES)
    yield from OPENAI_ROUTERS
    yield from (module.router for module in CONSOLE_ROUTES)


def create_routes(config: Settings, metrics: Metrics) -> FastAPI:
    """The FastAPI app behind the front."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(config, metrics) as state:
            app.state.tierline = state
            yield

    app = FastAPI(
        title="tierline",
        version=version("tierline"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    # /docs loads everything from this process, so no foreign script sees a key typed there.
    patch_fastapi(app, swagger_ui_parameters={"filter": True, "displayRequestDuration": True})
    unlisted = [
        route
        for router in (*OPENAI_ROUTERS, *(module.router for module in CONSOLE_ROUTES))
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    problems.install(app, unlisted)
    for router in _routers():
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@contextlib.asynccontextmanager
async def _running(config: Settings, metrics: Metrics) -> AsyncIterator[State]:
    """What the requests share, from the start of the app to its orderly end."""
    url = config.database
    pool = api_pool(url, NAME, config.pool_size)
    cold_pool = bounded_pool(url, f"{NAME}-cold", COLD_CONNECTIONS, config.statement_timeout_s)
    report_pool = bounded_pool(url, f"{NAME}-reports", REPORT_CONNECTIONS, config.report_timeout_s)
    cold_pool.timeout = report_pool.timeout = COLD_WAIT_S
    copies = ReplicaPools(NAME, config, pool)
    reports = Reports(report_pool, config.report_timeout_s, config.max_reports, copies.reports)
    openid = OpenIdSignIn.of(config.openid)
    keys = Keys(pool, config.limits, None if openid is None else openid.config.issuer)
    ready = ReadyNotifier(url, NAME)
    ended = EndedJobs(url, NAME)
    streams = OpenStreams(config.max_streams)
    job_watch = JobWatch(pool, ended, streams)
    health = Health(pool, cold_pool, config, copies.replica)
    await pool.open()
    cold_pool.open()
    report_pool.open()
    copies.open()
    state = State(
        settings=config,
        pool=pool,
        cold_pool=cold_pool,
        cold=Cold(cold_pool, config.statement_timeout_s, copies.cold),
        reports=reports,
        submitter=Submitter(pool),
        keys=keys,
        rates=Rates(),
        ready=ready,
        ended=ended,
        streams=streams,
        job_watch=job_watch,
        health=health,
        metrics=metrics,
        openid=openid,
    )
    # The process starts even if the database is away; /readyz reports it.
    await health.look()
    tasks = [
        asyncio.create_task(part.run(), name=type(part).__name__)
        for part in (keys, ready, ended, job_watch, health, health.broker, copies.replica)
        if part is not None
    ]
    try:
        yield state
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await keys.note()
        await pool.close(timeout=2.0)
        await asyncio.to_thread(cold_pool.close, 2.0)
        await asyncio.to_thread(report_pool.close, 2.0)
        await asyncio.to_thread(copies.close)
        if openid is not None:
            openid.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema
