"""/v1/jobs: submit, read, list, cancel, retry, attempts, feedback."""

import asyncio
import hashlib
import re
import time
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import schemas as shapes
from api.ask_again import ask_again
from api.auth import Read, Submit
from api.bodies import (
    answer,
    body_of,
    encoded,
    read_json,
    read_model,
    refuse_other_types,
    strict_json,
)
from api.cursors import read_cursor, write_cursor
from api.keys import Caller
from api.numbers import ASCII_DIGITS
from api.problems import Refused, documented
from api.shown import job_for
from api.state import Database, Shared, State, state_of
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.base.formats import when
from tierline.rules.jobs import TERMINAL
from tierline.services.evidence.feedback import MAX_COMMENT, Said, give_feedback
from tierline.services.jobs import read_jobs
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.read_jobs import Filters, attempts_of, find_job, read_job
from tierline.services.jobs.submit import (
    MAX_KEY,
    KeyReused,
    Row,
    Submitted,
    UnknownFeature,
    read_asked,
)
from tierline.views.jobs import attempt_json, call_json

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_S = 1.0  # of a waiting request, behind the wake-up
MAX_PAGE = 200
_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")
_WAIT = re.compile(
    r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9}(?:\.[0-9]{1,9})?)\"?\s*(?=$|[,;])", re.IGNORECASE
)

JobId = Annotated[str, Path(description="the job's id", json_schema_extra={"format": "uuid"})]
IdempotencyKey = Annotated[
    str | None,
    Header(
        description=f"1 to {MAX_KEY} visible characters; remembered for a day",
        json_schema_extra={"pattern": f"^[!-~]{{1,{MAX_KEY}}}$"},
    ),
]
Prefer = Annotated[
    str | None,
    Header(description="wait=N: answer when the job ended, or after N seconds (RFC 7240)"),
]

_STATE_HEADERS = {
    "Location": {"schema": {"type": "string"}, "description": "the job"},
    "Idempotent-Replayed": {
        "schema": {"type": "string", "const": "true"},
        "description": "the Idempotency-Key was known: this is the earlier job",
    },
    "Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N as obeyed"},
}
_RETRY_HEADER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
SUBMIT_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: shapes.documented("The job has ended", "JobState", _STATE_HEADERS),
    202: shapes.documented("The job is taken in", "JobState", _STATE_HEADERS | _RETRY_HEADER),
}


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    responses={**SUBMIT_ANSWERS, **documented(400, 401, 403, 413, 415, 422, 503)},
    openapi_extra=shapes.body("NewJob", shapes.NEW_JOB_EXAMPLE),
)
async def submit_job(
    request: Request,
    caller: Submit,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Take a job in. It runs as soon as its queue lets it, whatever happens to this process.

    With the same Idempotency-Key and the same payload it gives the same job in its present state.
    """
    content_type = request.headers.get("content-type")
    body = await request.body()
    return await take_in(state_of(request), caller, body, content_type, idempotency_key, prefer)


async def take_in(
    state: State,
    caller: Caller,
    body: bytes,
    content_type: str | None,
    idempotency_key: str | None,
    prefer: str | None,
) -> Response:
    """What POST /v1/jobs does, by whichever door it came."""
    key = read_key(idempotency_key)
    refuse_other_types(content_type)
    asked = read_asked(strict_json(body, state.settings.max_json_depth))
    submitted = await state.submitter.submit(
        caller.account_id,
        asked,
        key,
        account=caller.account,
        most_queued=caller.limits.max_queued_jobs,
        capped=caller.capped,
    )
    return await taken(state, caller, submitted, prefer)


async def taken(state: State, caller: Caller, submitted: Submitted, prefer: str | None) -> Response:
    """The answer to a submission, after the wait that was asked for."""
    headers = {"Location": f"/v1/jobs/{submitted.job_id}"}
    if submitted.replayed:
        headers["Idempotent-Replayed"] = "true"
    else:
        state.ready.ready()
    row: Row | None = submitted.row
    wait_s = asked_wait_s(prefer, state.settings.max_wait_s)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
        if not submitted.ended:
            row = await _wait(state, caller.account_id, submitted.job_id, wait_s)
    if row is None:
        raise NotFound(f"there is no job {submitted.job_id}")
    if row["status"] in TERMINAL:
        return answer(job_for(caller, row), 200, headers)
    return answer(job_for(caller, row), 202, headers | ask_again(row["created_at"]))


async def _wait(state: State, account_id: int, job_id: UUID, wait_s: float) -> Row | None:
    """The job's row once it ended, or as it is after `wait_s` seconds."""
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


@router.get(
    "",
    summary="List jobs, the newest first",
    responses={
        200: shapes.documented("A page of jobs", "JobPage"),
        **documented(401, 403, 422, 503),
    },
)
def list_jobs(
    caller: Read,
    connection: Database,
    feature: Annotated[str | None, Query(max_length=63)] = None,
    status: Annotated[
        Literal["queued", "in_progress", "completed", "failed", "cancelled", "expired"] | None,
        Query(),
    ] = None,
    tier: Annotated[str | None, Query(max_length=63)] = None,
    batch_id: Annotated[UUID | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Only the caller's account's own."""
    rows = read_jobs.list_jobs(
        connection,
        caller.account_id,
        Filters(feature, status, tier, batch_id),
        read_cursor(cursor),
        limit + 1,
    )
    more = len(rows) > limit
    page = rows[:limit]
    return answer(
        {
            "data": [job_for(caller, row) for row in page],
            "next_cursor": write_cursor(page[-1]["seq"]) if more else None,
        }
    )


@router.get(
    "/{job_id}",
    summary="Read a job",
    responses={
        200: shapes.documented("The job", "Job", shapes.ETAG_HEADERS | _RETRY_HEADER),
        304: {"description": "As it was: If-None-Match", "headers": shapes.ETAG_HEADERS},
        **documented(401, 403, 404, 422, 503),
    },
)
async def get_job(
    job_id: JobId,
    caller: Read,
    state: Shared,
    if_none_match: Annotated[str | None, Header(description="an ETag seen before")] = None,
) -> Response:
    """Its state now. Ask again after Retry-After, with the ETag, until the header is gone."""
    row = await find_job(state.pool, caller.account_id, read_job_id(job_id))
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    body = encoded(job_for(caller, row))
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if row["status"] not in TERMINAL:
        headers |= ask_again(row["created_at"])
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses={
        200: shapes.documented("It has ended", "JobState", _STATE_HEADERS),
        202: shapes.documented(
            "It runs, and ends as cancelled unless its call's answer passes",
            "JobState",
            _STATE_HEADERS | _RETRY_HEADER,
        ),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_job(job_id: JobId, caller: Submit, connection: Database, state: Shared) -> Response:
    """Cooperative: 202 until it is true, 200 with how it ended. A repeat changes nothing."""
    found = read_job_id(job_id)
    status = cancel(connection, caller.account_id, found)
    row = read_job(connection, found)
    headers = {"Location": f"/v1/jobs/{found}"}
    if status in TERMINAL:
        state.tell_ended(found)
        return answer(job_for(caller, row), 200, headers)
    return answer(job_for(caller, row), 202, headers | ask_again(row["created_at"]))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    summary="Ask the same again, as a new job",
    responses={**SUBMIT_ANSWERS, **documented(400, 401, 403, 404, 409, 422, 503)},
)
async def retry_job(
    job_id: JobId,
    caller: Submit,
    state: Shared,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Only of a job that failed, expired or was cancelled; it runs the present version."""
    key = read_key(idempotency_key)
    try:
        submitted = await state.submitter.retry(
            caller.account_id,
            read_job_id(job_id),
            key,
            account=caller.account,
            most_queued=caller.limits.max_queued_jobs,
            capped=caller.capped,
        )
    except InvalidInput as error:
        raise _unquoted(caller, error) from None
    return await taken(state, caller, submitted, prefer)


def _unquoted(caller: Caller, error: InvalidInput) -> InvalidInput:
    """Why a kept input does not fit, without quoting it to a key that may not read it."""
    if caller.may("read") or isinstance(error, KeyReused | UnknownFeature):
        return error
    return InvalidInput(
        [Problem("does not fit the feature's present version; a key that may read is told where")]
    )


@router.get(
    "/{job_id}/attempts",
    summary="A job's attempts and their calls",
    responses={
        200: shapes.documented("Every attempt, in order", "AttemptList"),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_attempts(job_id: JobId, caller: Read, connection: Database) -> Response:
    """What each tier answered, its verdict and reason, and what each call used and cost."""
    found = read_job_id(job_id)
    attempts, calls = attempts_of(connection, caller.account_id, found)
    return answer(
        {
            "data": [
                attempt_json(
                    row,
                    [call_json(call) for call in calls.get(row["number"], [])],
                    running=row["running"],
                )
                for row in attempts
            ],
            "next_cursor": None,
        }
    )


class Feedback(BaseModel):
    """What somebody knows of a job's answer."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "anyOf": [
                {"required": ["correct"], "properties": {"correct": {"type": "boolean"}}},
                {"required": ["expected"], "properties": {"expected": {"not": {"type": "null"}}}},
            ]
        },
    )

    correct: bool | None = Field(default=None, description="whether the output is right")
    expected: Any = Field(default=None, description="the right output; fits the output schema")
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] | None = None


@router.post(
    "/{job_id}/feedback",
    status_code=201,
    summary="Say whether an answer was right",
    responses={
        201: shapes.documented("Kept", "Feedback"),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=body_of(Feedback, {"correct": False, "expected": {"category": "billing"}}),
)
async def post_feedback(request: Request, job_id: JobId, caller: Submit, state: Shared) -> Response:
    """Labels for everything that learns. Several may be given; the last one counts."""
    given = read_model(Feedback, await read_json(request, state.settings.max_json_depth))
    said = Said(given.correct, given.expected, given.comment)
    found = read_job_id(job_id)

    def keep() -> dict[str, Any]:
        with state.cold_pool.connection() as connection:
            return give_feedback(connection, caller.account_id, found, said)

    row = await asyncio.to_thread(keep)
    return answer(row | {"job_id": str(row["job_id"]), "created_at": when(row["created_at"])}, 201)


def read_job_id(text: str) -> UUID:
    """A job's id as it stands in a path. Raises NotFound for what cannot be one."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no job {text[:80]!r}") from None


def read_key(key: str | None) -> str | None:
    """An Idempotency-Key as it was sent. Raises Refused (400) for one that does not fit."""
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(
            "bad-request", f"Idempotency-Key: 1 to {MAX_KEY} visible ASCII characters, no spaces"
        )
    return key


def asked_wait_s(prefer: str | None, most: float) -> float | None:
    """The seconds that the Prefer header asks to wait, bounded; None when it does not."""
    found = _WAIT.search(prefer) if prefer else None
    return None if found is None else min(float(found[1]), most)


def _matches(header: str, etag: str) -> bool:
    """If-None-Match, by the weak comparison that it asks for (RFC 9110, 13.1.2)."""
    candidates = (part.strip().removeprefix("W/") for part in header.split(","))
    return any(candidate in ("*", etag) for candidate in candidates)
