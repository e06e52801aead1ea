"""GET /v1/jobs/{id}: a job now. A hot route, because callers poll: see `api.http.hot_routes`."""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Response

from api.access.auth import Read
from api.access.shown import job_for
from api.document.openapi import ETAG_HEADERS, returns
from api.http.ask_again import ask_again
from api.http.bodies import JsonAnswer, encoded
from api.http.hot_routes import HotRoute
from api.http.problems import documented
from api.parameters.ids import read_id
from api.routes.jobs.submit import (
    RETRY_HEADER,
    STATE_HEADERS,
    Prefer,
    preferred_wait_s,
    wait_for_end,
)
from api.state import Shared
from tierline.base.errors import NotFound
from tierline.rules.jobs import TERMINAL
from tierline.services.jobs.read_jobs import find_job
from tierline.views.jobs.jobs import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=HotRoute)

_APPLIED = {"Preference-Applied": STATE_HEADERS["Preference-Applied"]}

JobId = Annotated[str, Path(description="the job's id", json_schema_extra={"format": "uuid"})]


@router.get(
    "/{job_id}",
    summary="Read a job",
    responses={
        200: returns("The job", Job, {**ETAG_HEADERS, **RETRY_HEADER, **_APPLIED}),
        304: {"description": "Unchanged: If-None-Match", "headers": dict(ETAG_HEADERS)},
        **documented(401, 403, 404, 422, 503),
    },
)
async def get_job(
    job_id: JobId,
    caller: Read,
    state: Shared,
    if_none_match: Annotated[str | None, Header(description="an ETag from before")] = None,
    prefer: Prefer = None,
) -> Response:
    """The job's state now. Poll again after Retry-After, with the ETag, while it is sent."""
    id = read_job_id(job_id)
    row = await find_job(state.pool, caller.account_id, id)
    wait_s = preferred_wait_s(prefer, state.settings.max_wait_s)
    if row is not None and wait_s is not None and row["status"] not in TERMINAL:
        row = await wait_for_end(state, caller.account_id, id, wait_s)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    body = encoded(job_for(caller, row))
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    if row["status"] not in TERMINAL:
        headers |= ask_again(row["created_at"])
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return JsonAnswer(body, 200, headers)


def read_job_id(text: str) -> UUID:
    """A job's id in a path. Raises NotFound for a text that cannot be an id."""
    return read_id(text, "job")


def _matches(header: str, etag: str) -> bool:
    """If-None-Match, by weak comparison (RFC 9110, 13.1.2)."""
    candidates = (part.strip().removeprefix("W/") for part in header.split(","))
    return any(candidate in ("*", etag) for candidate in candidates)
