"""/v1/feedback: whether the answers of many jobs are right, stored all or none."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Submit, readable
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.routes.jobs.jobs import NewFeedback
from api.state import Shared
from tierline.services.evidence.feedback import Said, give_many
from tierline.views.feedback import FeedbackCount

router = APIRouter(tags=["jobs"])

MOST_ITEMS = 1_000


class OfJob(NewFeedback):
    """What a person knows about one job's answer."""

    job_id: Annotated[UUID, Field(strict=False)]


class ManyFeedbacks(BaseModel):
    """What is known about the answers of many jobs, each job once."""

    model_config = ConfigDict(extra="forbid")

    items: list[OfJob] = Field(max_length=MOST_ITEMS)
    dry_run: bool = Field(default=False, description="only check whether all can be stored")


@router.post(
    "/v1/feedback",
    summary="Give feedback on the answers of many jobs",
    responses={
        200: returns("All feedback was stored", FeedbackCount),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        ManyFeedbacks,
        {
            "items": [
                {"job_id": "01a1f2b0-0000-7000-8000-000000000000", "expected": {"topic": "billing"}}
            ]
        },
    ),
)
async def post_many(request: Request, caller: Submit, state: Shared) -> Response:
    """Stores all items or none; the problems name the items. For the caller's account's jobs, or
    any jobs for operators where the installation lets them read all.
    """
    given = read_model(ManyFeedbacks, await read_json(request, state.settings.max_json_depth))
    account_id = readable(state, caller)
    items = [(one.job_id, Said(one.correct, one.expected, one.comment)) for one in given.items]

    def work(connection: Any) -> int:
        return give_many(connection, account_id, items, dry_run=given.dry_run)

    checked = await run_in_threadpool(state.with_connection, work)
    return answer(FeedbackCount(kept=0 if given.dry_run else checked, checked=checked))
