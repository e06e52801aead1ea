"""GET /v1/jobs/{id}/events and GET /v1/events: server-sent events of one job, and of all of an
account's."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api.access.auth import Read
from api.access.keys import Caller
from api.document.openapi import component
from api.http.problems import documented
from api.job_watch import GAP, AccountStream, JobStream
from api.routes.jobs.read import JobId, read_job_id
from api.state import Shared, State
from api.streams import EVENT_STREAM, HEARTBEAT_S, StreamResponse
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.rules.job_events import JOB_EVENTS, events_of
from tierline.rules.jobs import TERMINAL
from tierline.services.jobs.job_events import find_event_row
from tierline.services.jobs.read_jobs import find_job
from tierline.views.jobs.events import StreamedEvent

router = APIRouter(tags=["jobs"])

MOST_TIMEOUT_S = 86_400.0
MOST_BACK = timedelta(days=1)  # a resumed stream looks back so far

_LAST_READ = "the id of the last event that was read: the stream goes on after it"
LastOfJob = Annotated[
    str | None, Header(description=_LAST_READ, json_schema_extra={"pattern": "^([0-9]{1,9})?$"})
]
LastOfAccount = Annotated[
    str | None,
    Header(description=_LAST_READ, json_schema_extra={"pattern": r"^([0-9]{1,18}\.[0-9]{1,18})?$"}),
]
TimeoutS = Annotated[
    float | None,
    Query(
        ge=0,
        le=MOST_TIMEOUT_S,
        description="end the stream after so many seconds; 0: send only what has happened so far",
    ),
]


EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string", "description": "for Last-Event-ID"},
        "event": {"type": "string", "enum": [*JOB_EVENTS, GAP]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": component(StreamedEvent),
        },
    },
}


def event_stream(description: str) -> dict[str, Any]:
    """An event stream as an answer, for a route's `responses`."""
    return {
        "description": f"{description}. The schema is that of one event. A comment comes after"
        f" {HEARTBEAT_S:g} s of silence.",
        "content": {EVENT_STREAM: {"schema": EVENT_SCHEMA}},
    }


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Follow a job",
    responses={
        200: event_stream("The job's events, from its first one on or after Last-Event-ID"),
        204: {"description": "The last event was read: there is nothing to connect for"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def follow_job(
    request: Request,
    job_id: JobId,
    caller: Read,
    state: Shared,
    last_event_id: LastOfJob = None,
    timeout_s: TimeoutS = None,
) -> Response:
    """Server-sent events. The stream ends after the job's last event, whose data has the job."""
    return await job_stream(
        state,
        caller,
        job_id,
        last_event_id,
        timeout_s,
        lambda: state.keys.caller(request.headers.get("authorization")),
    )


async def job_stream(
    state: State,
    caller: Caller,
    job_id: str,
    last_event_id: str | None,
    timeout_s: float | None,
    still_valid: Callable[[], Awaitable[object]],
) -> Response:
    """The events of a job, as `caller` may see them, for as long as `still_valid` does not raise.

    Raises NotFound, InvalidInput, Refused (429) and Unavailable.
    """
    id = read_job_id(job_id)
    row = await find_event_row(state.pool, caller.account_id, id)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    after = _number(last_event_id)
    ended = row.status in TERMINAL
    if ended and not any(events_of(row.facts, after)):
        return Response(status_code=204)
    state.streams.admit(caller)
    stream = JobStream(caller, id, after)
    stream.advance(row, await find_job(state.pool, caller.account_id, id) if ended else None)
    return StreamResponse(
        stream,
        state.job_watch.job(stream),
        still_valid,
        timeout_s=timeout_s,
    )


@router.get(
    "/v1/events",
    summary="Follow an account's jobs",
    responses={
        200: event_stream(
            "The events of the account's jobs from now on, or after Last-Event-ID. `stream.gap`"
            " says that more has happened since than is looked back on"
        ),
        **documented(401, 403, 422, 503),
    },
)
async def follow_account(
    request: Request,
    caller: Read,
    state: Shared,
    last_event_id: LastOfAccount = None,
    timeout_s: TimeoutS = None,
) -> Response:
    """Server-sent events, without those of batches' rows. An event may come twice after the stream
    is resumed: the job's id, `type` and `attempt` tell. Webhooks are what is delivered for sure.
    """
    since = _cursor(last_event_id)
    state.streams.admit(caller)
    stream = AccountStream(caller)
    return StreamResponse(
        stream,
        state.job_watch.account(stream, since),
        lambda: state.keys.caller(request.headers.get("authorization")),
        timeout_s=timeout_s,
    )


def _number(last_event_id: str | None) -> int:
    """The number of the last event of a job that was read; -1: none. Raises InvalidInput."""
    text = (last_event_id or "").strip()
    if not text:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _not_ours()
    return int(text)


def _cursor(last_event_id: str | None) -> tuple[int, datetime] | None:
    """The lowest `seq` and the time in an id of an account's stream. Raises InvalidInput."""
    text = (last_event_id or "").strip()
    if not text:
        return None
    low, dot, micros = text.partition(".")
    if not (dot and all(part.isascii() and part.isdigit() for part in (low, micros))):
        raise _not_ours()
    if len(low) > 18 or len(micros) > 18:
        raise _not_ours()
    now = datetime.now(UTC)
    back_s = min(max(0.0, now.timestamp() - int(micros) / 1_000_000), MOST_BACK.total_seconds())
    return int(low), now - timedelta(seconds=back_s)


def _not_ours() -> InvalidInput:
    message = "is not an id of this stream: send the last `id` unchanged, or leave it out"
    return InvalidInput([Problem(message, "header Last-Event-ID")])
