"""/v1/feedback: whether the answers of many jobs are right, and which answers await a label."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Read, Submit, readable
from api.document.openapi import STORABLE, returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.parameters.cursors import read_page
from api.parameters.numbers import ASCII_DIGITS
from api.routes.jobs.jobs import NewFeedback
from api.state import Database, Report, Shared
from tierline.services.evidence.labels import reviews
from tierline.services.evidence.labels.feedback import AnswerFeedback, give_many
from tierline.views.evidence.feedback import FeedbackCount
from tierline.views.evidence.reviews import FeedbackQueue, LabelProgress

router = APIRouter(tags=["jobs"])

MOST_ITEMS = 1_000
MAX_PAGE = 200


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
    body = read_model(ManyFeedbacks, await read_json(request, state.settings.max_json_depth))
    account_id = readable(state, caller)
    items = [
        (one.job_id, AnswerFeedback(one.correct, one.expected, one.comment)) for one in body.items
    ]

    def work(connection: Any) -> int:
        return give_many(connection, account_id, items, dry_run=body.dry_run, key_id=caller.key_id)

    checked = await run_in_threadpool(state.with_connection, work)
    return answer(FeedbackCount(kept=0 if body.dry_run else checked, checked=checked))


@router.get(
    "/v1/feedback/queue",
    summary="List the answers that await a label",
    responses={
        200: returns("A page, the oldest first", FeedbackQueue),
        **documented(401, 403, 422, 503),
    },
)
def get_queue(
    caller: Read,
    connection: Database,
    feature: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """The answers of the caller's account that people were asked to label (POST
    /v1/features/{name}/label-sample, or in the console) and that nobody has labelled yet. Feedback
    on a job takes it out of the queue.
    """
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda after, most: reviews.requested_labels(
            connection, caller.account_id, feature, after, most
        ),
        lambda row: row.id,
    )
    return answer(FeedbackQueue.of([reviews.label_view(row) for row in page], next_cursor))


@router.get(
    "/v1/features/{name}/label-progress",
    summary="Get how many labels a feature has and needs",
    responses={
        200: returns("The progress", LabelProgress),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_progress(
    name: Annotated[str, Path(max_length=63)], caller: Read, connection: Report
) -> Response:
    """Labels of all accounts count, for evaluations (`needed_for_evaluation`) and for promises that
    people's labels decide. The agreement is of people of the caller's account.
    """
    return answer(reviews.progress(connection, caller.account_id, name))
