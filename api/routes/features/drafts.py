"""/v1/drafts: trying a feature file before it is applied. For operators."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.access.auth import Operator
from api.document.openapi import STORABLE, returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.routes.features.features import FILE_BODY, read_file
from api.routes.jobs.submit import SUBMIT_ANSWERS, Prefer, accepted
from api.state import Shared
from tierline.base.errors import NotFound
from tierline.services.features.drafts import Draft, keep_draft
from tierline.views.features import features
from tierline.views.view import ANY_JSON

router = APIRouter(prefix="/v1/drafts", tags=["features"])

MAX_ID = 2**63 - 1


class NewDraftJob(BaseModel):
    """One input to try."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: Annotated[Any, WithJsonSchema(ANY_JSON)] = Field(
        description="must match the draft's input schema"
    )


@router.post(
    "",
    status_code=201,
    summary="Store a feature file as a draft",
    responses={
        201: returns("Stored; the same file gives the same draft", features.Draft),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=FILE_BODY,
)
async def post_draft(
    request: Request,
    _: Operator,
    state: Shared,
    tier: Annotated[
        str | None,
        Query(
            max_length=63,
            pattern=STORABLE,
            description="only this tier; default: every tier",
        ),
    ] = None,
) -> Response:
    """A draft is a version that only its own jobs use. Nothing else changes."""
    text = await read_file(request)

    def keep() -> Draft:
        with state.cold_pool.connection() as connection:
            return keep_draft(connection, text, tier)

    draft = await asyncio.to_thread(keep)
    body = {
        **features.summary(draft.feature, draft.version.applied_at),
        "id": draft.version.id,
        "version": draft.version.version,
        "warnings": list(draft.warnings),
    }
    return answer(features.Draft.model_validate(body), 201)


@router.post(
    "/{draft_id}/jobs",
    status_code=202,
    summary="Submit a job of a draft",
    responses={**SUBMIT_ANSWERS, **documented(400, 401, 403, 404, 413, 415, 422, 503)},
    openapi_extra=takes(NewDraftJob, {"input": {"text": "Order ZK-4410 is late."}}),
)
async def submit_draft_job(
    draft_id: Annotated[str, Path(description="the draft's id")],
    request: Request,
    caller: Operator,
    state: Shared,
    prefer: Prefer = None,
) -> Response:
    """The job runs on the queues like any other. The key's account pays for it, and no endpoint
    gets its events.

    Its attempts have a `trace`: each call's prompt and the model's text.
    """
    body = read_model(NewDraftJob, await read_json(request, state.settings.max_json_depth))
    if not draft_id.isascii() or not draft_id.isdigit() or int(draft_id) > MAX_ID:
        raise NotFound(f"there is no draft {draft_id[:80]!r}")
    submitted = await state.submitter.submit_draft(
        caller.account_id,
        int(draft_id),
        body.input,
        most_queued=caller.limits.max_queued_jobs,
    )
    return await accepted(state, caller, submitted, prefer)
