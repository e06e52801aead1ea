"""POST /v1/jobs: accepting a job and answering with it. A hot route: see `api.http.hot_routes`."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from api.access.auth import Submit
from api.access.keys import Caller
from api.access.shown import job_for
from api.document.openapi import returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import answer, refuse_other_types, strict_json
from api.http.hot_routes import HotRoute
from api.http.problems import Refused, documented
from api.job_watch import JobStream
from api.state import Shared, State
from api.streams import EVENT_STREAM, StreamResponse, wants_events
from tierline.base.errors import NotFound
from tierline.base.json_text import JSONValue
from tierline.rules.jobs import TERMINAL
from tierline.services.jobs.read_jobs import find_job
from tierline.services.jobs.submitting.new_jobs import Submitted
from tierline.services.jobs.submitting.replays import MAX_KEY
from tierline.services.jobs.submitting.submission import read_submission
from tierline.views.jobs.jobs import JobRow, JobState, NewJob

POLL_S = 1.0  # polling interval of a waiting request, in case a wake-up is lost
_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")
_WAIT = re.compile(
    r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9}(?:\.[0-9]{1,9})?)\"?\s*(?=$|[,;])", re.IGNORECASE
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        description=f"1 to {MAX_KEY} visible characters; remembered for a day",
        json_schema_extra={"pattern": f"^[!-~]{{1,{MAX_KEY}}}$"},
    ),
]
ContentType = Annotated[str | None, Header(include_in_schema=False)]  # OpenAPI has it with the body
Prefer = Annotated[
    str | None,
    Header(description="wait=N: answer when the job has ended, or after N seconds (RFC 7240)"),
]

STATE_HEADERS: Mapping[str, JSONValue] = {
    "Location": {"schema": {"type": "string"}, "description": "the job"},
    "Idempotent-Replayed": {
        "schema": {"type": "string", "const": "true"},
        "description": "the Idempotency-Key was used before: this is the earlier job",
    },
    "Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N as applied"},
}
RETRY_HEADER: Mapping[str, JSONValue] = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
}
Accept = Annotated[str | None, Header(include_in_schema=False)]  # OpenAPI has it with the answers
SUBMIT_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: returns("The job has ended", JobState, STATE_HEADERS),
    202: returns("The job is accepted", JobState, {**STATE_HEADERS, **RETRY_HEADER}),
}

_JOB_OR_EVENTS = {
    **SUBMIT_ANSWERS[200]["content"],
    EVENT_STREAM: {"schema": {"type": "object", "description": "see GET /v1/jobs/{id}/events"}},
}

_EXAMPLE: JSONValue = {
    "feature": "invoice-fields",
    "input": {"text": "Invoice A-17\nTotal due: 12.50 EUR"},
    "metadata": {"source": "mail"},
    "deadline_s": 600,
}


router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=HotRoute)


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    responses={
        **SUBMIT_ANSWERS,
        200: {**SUBMIT_ANSWERS[200], "content": _JOB_OR_EVENTS},
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewJob, _EXAMPLE),
)
async def submit_job(
    request: Request,
    caller: Submit,
    state: Shared,
    content_type: ContentType = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
    accept: Accept = None,
) -> Response:
    """Accepts a job. It runs as soon as its queue allows, whatever happens to this process.

    A repeat with the same Idempotency-Key and the same payload returns the same job in its current
    state. `Accept: text/event-stream` answers with the job's events instead, from the first one on.
    """
    follow = wants_events(accept)
    if follow:
        state.streams.admit(caller)  # before the job is written: a refusal means that it was not
    body = await request.body()
    key = read_key(idempotency_key)
    refuse_other_types(content_type)
    submission = read_submission(strict_json(body, state.settings.max_json_depth))
    submitted = await state.submitter.submit(
        caller.account_id,
        submission,
        key,
        account=caller.account,
        most_queued=caller.limits.max_queued_jobs,
        capped=caller.capped,
    )
    if follow:
        return _events(request, state, caller, submitted)
    return await accepted(state, caller, submitted, prefer)


def _events(request: Request, state: State, caller: Caller, submitted: Submitted) -> Response:
    """The events of a job that was just submitted, or of the one that its key stands for."""
    if not submitted.replayed:
        state.ready.ready()
    stream = JobStream(caller, submitted.job_id)
    return StreamResponse(
        stream,
        state.job_watch.job(stream),
        lambda: state.keys.caller(request.headers.get("authorization")),
        headers=_place(submitted),
    )


def _place(submitted: Submitted) -> dict[str, str]:
    headers = {"Location": f"/v1/jobs/{submitted.job_id}"}
    if submitted.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


async def accepted(
    state: State, caller: Caller, submitted: Submitted, prefer: str | None
) -> Response:
    """The answer to a submission, after the requested wait."""
    headers = _place(submitted)
    if not submitted.replayed:
        state.ready.ready()
    row: JobRow | None = submitted.row
    wait_s = preferred_wait_s(prefer, state.settings.max_wait_s)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
        if not submitted.ended:
            row = await wait_for_end(state, caller.account_id, submitted.job_id, wait_s)
    if row is None:
        raise NotFound(f"there is no job {submitted.job_id}")
    if row["status"] in TERMINAL:
        return answer(job_for(caller, row), 200, headers)
    return answer(job_for(caller, row), 202, headers | ask_again(row["created_at"]))


def read_key(key: str | None) -> str | None:
    """The Idempotency-Key as sent. Raises Refused (400) for an invalid one."""
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(
            "bad-request", f"Idempotency-Key: 1 to {MAX_KEY} visible ASCII characters, no spaces"
        )
    return key


async def wait_for_end(state: State, account_id: int, job_id: UUID, wait_s: float) -> JobRow | None:
    """The job's row when it has ended, or its state after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    with state.ended.watch(job_id) as ended:
        while True:
            left_s = until - time.monotonic()
            if left_s > 0:
                try:
                    async with asyncio.timeout(min(left_s, POLL_S)):
                        await ended.wait()
                except TimeoutError:
                    pass
                ended.clear()
            row = await find_job(state.pool, account_id, job_id)
            if row is None or row["status"] in TERMINAL or time.monotonic() >= until:
                return row


def preferred_wait_s(prefer: str | None, most: float) -> float | None:
    """The wait that the Prefer header asks for, in seconds and bounded; None without one."""
    match = _WAIT.search(prefer) if prefer else None
    return None if match is None else min(float(match[1]), most)
