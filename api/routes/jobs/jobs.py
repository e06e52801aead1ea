"""/v1/jobs: list, cancel, retry, attempts, feedback. The hot routes are in `submit` and `read`."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Read, Submit
from api.access.keys import Caller
from api.access.shown import job_for
from api.document.openapi import STORABLE, returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.parameters.job_details import read_metadata
from api.parameters.job_pages import job_page
from api.parameters.numbers import ASCII_DIGITS
from api.routes.jobs.read import JobId, read_job_id
from api.routes.jobs.submit import (
    RETRY_HEADER,
    STATE_HEADERS,
    SUBMIT_ANSWERS,
    IdempotencyKey,
    Prefer,
    accepted,
    read_key,
)
from api.state import Database, LateDatabase, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.rules.jobs import TERMINAL
from tierline.rules.verdicts import Verdict
from tierline.services.evidence.labels.feedback import MAX_COMMENT, AnswerFeedback, give_feedback
from tierline.services.jobs import read_jobs
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.read_jobs import Details, Filters, attempts_of, read_job
from tierline.services.jobs.submitting.current_versions import UnknownFeature
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.views.evidence.feedback import Feedback
from tierline.views.jobs.attempts import AttemptList, attempt_view, call_view
from tierline.views.jobs.jobs import JobPage, JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MAX_PAGE = 200


@router.get(
    "",
    summary="List jobs, the newest first",
    responses={
        200: returns("A page of jobs", JobPage),
        **documented(401, 403, 422, 503),
    },
)
def list_jobs(
    caller: Read,
    connection: LateDatabase,
    feature: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    status: Annotated[
        Literal["queued", "in_progress", "completed", "failed", "cancelled", "expired"] | None,
        Query(),
    ] = None,
    tier: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    batch_id: Annotated[UUID | None, Query()] = None,
    drafts: Annotated[
        bool, Query(description="also jobs of drafts: feature files that were tried, not applied")
    ] = True,
    verdict: Annotated[Verdict | None, Query(description="of one of its attempts")] = None,
    user: Annotated[str | None, Query(min_length=1, max_length=255, pattern=STORABLE)] = None,
    session: Annotated[str | None, Query(min_length=1, max_length=255, pattern=STORABLE)] = None,
    metadata: Annotated[
        str | None,
        Query(
            max_length=1_000,
            pattern=STORABLE,
            description="key=value: the metadata's field `key` has this value, as text",
        ),
    ] = None,
    escalated: Annotated[bool | None, Query(description="it left its first tier")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    ids: Annotated[
        str | None,
        Query(
            max_length=MAX_PAGE * 40,
            pattern=STORABLE,
            description=f"up to {MAX_PAGE} ids, separated by commas: these jobs in this order,"
            " without unknown ones; no other filter may be given with it",
        ),
    ] = None,
) -> Response:
    """Lists only jobs of the caller's account. A page with a filter examines at most 50,000 jobs:
    it may have fewer jobs than `limit`, or none, and `next_cursor` goes on with older ones. With
    the status `queued` or `in_progress` it reads the jobs that wait or run.
    """
    details = Details(verdict, user, session, read_metadata(metadata), escalated)
    if ids is not None:
        given = (feature, status, tier, batch_id, cursor, details or None)
        job_ids = _ids(ids, given)
        rows = read_jobs.jobs_of(connection, caller.account_id, job_ids)
        return answer(JobPage(data=[job_for(caller, row) for row in rows], next_cursor=None))
    filters = Filters(feature, status, tier, batch_id, drafts)
    page, next_cursor = job_page(connection, caller.account_id, filters, details, cursor, limit)
    return answer(JobPage(data=[job_for(caller, row) for row in page], next_cursor=next_cursor))


def _ids(text: str, others: Iterable[object]) -> list[UUID]:
    """The jobs that a query names. Raises InvalidInput."""
    if any(other is not None for other in others):
        raise InvalidInput([Problem("cannot be combined with a filter or a cursor", "?ids")])
    try:
        ids = [UUID(part.strip()) for part in text.split(",")]
    except ValueError:
        raise InvalidInput([Problem("must be ids of jobs, separated by commas", "?ids")]) from None
    if len(ids) > MAX_PAGE:
        raise InvalidInput([Problem(f"names {len(ids):,} jobs; at most {MAX_PAGE}", "?ids")])
    return list(dict.fromkeys(ids))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses={
        200: returns("It has ended", JobState, STATE_HEADERS),
        202: returns(
            "It is running, and ends as cancelled unless its call's answer passes",
            JobState,
            {**STATE_HEADERS, **RETRY_HEADER},
        ),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_job(job_id: JobId, caller: Submit, connection: Database, state: Shared) -> Response:
    """Cancelling is cooperative: 202 until the job has ended, then 200 with how it ended. A repeat
    changes nothing."""
    id = read_job_id(job_id)
    status = cancel(connection, caller.account_id, id)
    row = read_job(connection, id)
    headers = {"Location": f"/v1/jobs/{id}"}
    if status in TERMINAL:
        state.tell_ended(id)
        return answer(job_for(caller, row), 200, headers)
    return answer(job_for(caller, row), 202, headers | ask_again(row["created_at"]))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    summary="Retry a job as a new job",
    responses={**SUBMIT_ANSWERS, **documented(400, 401, 403, 404, 409, 422, 503)},
)
async def retry_job(
    job_id: JobId,
    caller: Submit,
    state: Shared,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Only for a failed, expired or cancelled job. The new job uses the current version."""
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
    return await accepted(state, caller, submitted, prefer)


def _unquoted(caller: Caller, error: InvalidInput) -> InvalidInput:
    """Why a stored input does not match, without quoting it to a key that may not read it."""
    if caller.may("read") or isinstance(error, KeyReused | UnknownFeature):
        return error
    return InvalidInput(
        [Problem("does not match the feature's current version; a key that may read sees where")]
    )


@router.get(
    "/{job_id}/attempts",
    summary="List a job's attempts and their calls",
    responses={
        200: returns("Every attempt, in order", AttemptList),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_attempts(job_id: JobId, caller: Read, connection: Database) -> Response:
    """What each tier answered, its verdict and reason, and what each call used and cost."""
    id = read_job_id(job_id)
    attempts, calls = attempts_of(connection, caller.account_id, id)
    return answer(
        AttemptList.of(
            attempt_view(row, [call_view(call) for call in calls.get(row["number"], [])])
            for row in attempts
        )
    )


class NewFeedback(BaseModel):
    """What a person knows about a job's answer."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "not": {  # generators of clients split a model with anyOf
                "properties": {"correct": {"type": "null"}, "expected": {"type": "null"}}
            }
        },
    )

    correct: bool | None = Field(default=None, description="whether the output is right")
    expected: Any = Field(default=None, description="the right output, by the output schema")
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] | None = None


@router.post(
    "/{job_id}/feedback",
    status_code=201,
    summary="Give feedback on an answer",
    responses={
        201: returns("Kept", Feedback),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewFeedback, {"correct": False, "expected": {"category": "billing"}}),
)
async def post_feedback(request: Request, job_id: JobId, caller: Submit, state: Shared) -> Response:
    """Feedback labels the job for calibration, evaluation and training. The last label counts."""
    body = read_model(NewFeedback, await read_json(request, state.settings.max_json_depth))
    label = AnswerFeedback(body.correct, body.expected, body.comment)
    id = read_job_id(job_id)

    row = await asyncio.to_thread(
        state.with_connection, give_feedback, caller.account_id, id, label, caller.key_id
    )
    return answer(Feedback.model_validate(row), 201)
