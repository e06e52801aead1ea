"""/v1/bulk-actions: one action on all jobs that match a filter."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Read, Submit
from api.access.keys import Caller
from api.document.openapi import STORABLE, returns, takes
from api.http.bodies import Whole, answer, read_json, read_model
from api.http.problems import Refused, documented
from api.parameters.cursors import read_page
from api.parameters.ids import read_id
from api.parameters.job_details import read_metadata
from api.parameters.numbers import ASCII_DIGITS
from api.routes.jobs.submit import IdempotencyKey, read_key
from api.state import Database, Shared
from tierline.rules.verdicts import Verdict
from tierline.services.operations import bulk_actions as services
from tierline.services.operations.bulk_actions import Action, BulkRequest, Details, Filters
from tierline.views.operations.bulk_actions import (
    BulkAction,
    BulkActionList,
    BulkPlan,
    bulk_action_view,
)

router = APIRouter(prefix="/v1/bulk-actions", tags=["jobs"])

MAX_PAGE = 100
MOST_JOBS = 10**9

ActionId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
Text = Annotated[str, Field(min_length=1, max_length=255, pattern=STORABLE)]
Name = Annotated[str, Field(max_length=63, pattern=STORABLE)]


async def _actor(caller: Submit) -> Caller:
    """The caller, if it may act on what it names by a filter: counts show what a filter matches, so
    the scope submit is not enough."""
    if not caller.may("read"):
        raise Refused("forbidden", "bulk actions need the scopes 'submit' and 'read'")
    return caller


Actor = Annotated[Caller, Depends(_actor)]


class JobFilter(BaseModel):
    """Which jobs; what is left out is not filtered by."""

    model_config = ConfigDict(extra="forbid")

    feature: Name | None = None
    tier: Name | None = None
    status: (
        Literal["queued", "in_progress", "completed", "failed", "cancelled", "expired"] | None
    ) = None
    batch_id: Annotated[UUID, Field(strict=False)] | None = None
    drafts: bool = Field(strict=True, default=False, description="also jobs of drafts")
    verdict: Annotated[Verdict, Field(strict=False)] | None = Field(
        default=None, description="of one of its attempts"
    )
    user: Text | None = None
    session: Text | None = None
    metadata: Annotated[str, Field(max_length=1_000, pattern=STORABLE)] | None = Field(
        default=None, description="key=value: the metadata's field `key` has this value, as text"
    )
    escalated: bool | None = Field(strict=True, default=None, description="it left its first tier")


class NewBulkAction(BaseModel):
    """What to do, and to which jobs."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["retry", "cancel", "deeper_analysis", "remove_content"] = Field(
        description="retry: retry failed, cancelled and expired jobs, as new jobs;"
        " deeper_analysis: retry ended jobs, as new jobs that begin on the next tier"
    )
    filter: JobFilter = Field(description="empty: all jobs of the account")
    limit: Whole | None = Field(
        default=None, ge=1, le=MOST_JOBS, description="jobs to act on at most; null: all that match"
    )
    dry_run: bool = Field(
        strict=True, default=False, description="only count the jobs and estimate the cost"
    )

    def bulk_request(self) -> BulkRequest:
        """The request of the service. Raises InvalidInput for metadata that is not key=value."""
        of = self.filter
        filters = Filters(of.feature, of.status, of.tier, of.batch_id, of.drafts)
        metadata = read_metadata(of.metadata, "/filter/metadata")
        details = Details(of.verdict, of.user, of.session, metadata, of.escalated)
        return BulkRequest(Action(self.action), filters, self.limit, details)


@router.post(
    "",
    status_code=201,
    summary="Act on all jobs that match a filter",
    responses={
        200: returns("A dry run, or the earlier action with this Idempotency-Key", BulkPlan),
        201: returns("Begun", BulkAction),
        **documented(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        NewBulkAction, {"action": "retry", "filter": {"feature": "invoice", "status": "failed"}}
    ),
)
async def post_action(
    request: Request, caller: Actor, state: Shared, idempotency_key: IdempotencyKey = None
) -> Response:
    """With `dry_run`, counts the jobs that match and estimates the cost of new jobs. Without it,
    the action begins with the newest job and goes on by itself: poll it. Jobs that are submitted
    later are not its own, and no job is handled twice. New jobs run on the backfill lanes. 409 if
    five actions of the account are running.
    """
    body = read_model(NewBulkAction, await read_json(request, state.settings.max_json_depth))
    key = read_key(idempotency_key)

    def work(connection: Any) -> tuple[BulkPlan, bool]:
        if body.dry_run:
            return services.plan(connection, caller.account_id, body.bulk_request()), False
        return services.begin(
            connection, caller.account_id, caller.key_id, body.bulk_request(), key
        )

    action, new = await state.reports.work(request, caller.account_id, work)
    if new:
        state.ready.ready()
    return answer(action, 201 if new else 200)


@router.get(
    "",
    summary="List bulk actions",
    responses={
        200: returns("A page, the newest first", BulkActionList),
        **documented(401, 403, 422, 503),
    },
)
def list_actions(
    caller: Read,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 20,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Lists only actions of the caller's account. They are kept for 90 days after their end."""
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda before, most: services.list_actions(connection, caller.account_id, before, most),
        lambda row: row["seq"],
    )
    return answer(BulkActionList.of([bulk_action_view(row) for row in page], next_cursor))


@router.get(
    "/{action_id}",
    summary="Read a bulk action",
    responses={
        200: returns("The action", BulkAction),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_action(action_id: ActionId, caller: Read, connection: Database) -> Response:
    """How far it is, and why it did not apply to some jobs."""
    return answer(
        services.action_of(connection, caller.account_id, read_id(action_id, "bulk action"))
    )


@router.post(
    "/{action_id}/abort",
    summary="Abort a bulk action",
    responses={
        200: returns("It has ended", BulkAction),
        **documented(401, 403, 404, 422, 503),
    },
)
def abort_action(action_id: ActionId, caller: Actor, connection: Database) -> Response:
    """It does nothing to another job from now on; what it did stays. One that has ended does not
    change.
    """
    return answer(services.abort(connection, caller.account_id, read_id(action_id, "bulk action")))
