"""/healthz, /readyz and /metrics: for what keeps the process running and for monitoring.

They need no key. If their numbers are private, restrict access in the network.
"""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import documented, unavailable
from api.state import Shared
from tierline.views.reports.installation import Health, Ready

router = APIRouter(tags=["probes"])


@router.get(
    "/healthz",
    summary="Whether the process is alive",
    responses={200: returns("It does", Health)},
)
async def healthz() -> Response:
    """Checks nothing else. Restart the process if this does not answer."""
    return answer(Health(status="ok"))


@router.get(
    "/readyz",
    summary="Whether requests can be served",
    responses={
        200: returns("They can; `degraded` lists other faults", Ready),
        **documented(503),
    },
)
async def readyz(state: Shared) -> Response:
    """503 only without a usable Postgres. Without the broker, submitting still works."""
    reason = await state.health.look()
    if reason is not None:
        return unavailable(reason)
    return answer(Ready(ready=True, degraded=await state.health.degraded()))


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    responses={
        200: {
            "description": "Text exposition format",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **documented(503, 504),
    },
)
async def metrics(state: Shared) -> Response:
    """Queues, verdicts, costs, webhooks, the broker, and this process's requests."""
    async with state.reports.metrics() as connection:
        text = await run_in_threadpool(
            state.metrics.text, connection, state.queues, state.last_hour, state.health
        )
    return Response(text, media_type=CONTENT_TYPE_LATEST)
