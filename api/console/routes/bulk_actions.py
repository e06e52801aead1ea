"""Bulk actions: what one would do, one with its progress, and all of them."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader, Submitter
from api.console.views.job_filters import JobFilters, details_of, read_filters
from api.http.problems import Refused
from api.parameters.cursors import read_page
from api.parameters.ids import read_id
from api.state import Database, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.rules.bulk_actions import BulkStatus
from tierline.services.accounts import audit
from tierline.services.accounts.audit import Entry
from tierline.services.operations import bulk_actions as services
from tierline.services.operations.bulk_actions import Action, BulkRequest
from tierline.views.operations.bulk_actions import BulkAction, BulkPlan, bulk_action_view

PATH = f"{CONSOLE}/bulk-actions"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

PAGE = 50
LOOK_S = 2  # how soon a page of a running action looks again
MOST_JOBS = 10**9
_NONCE = re.compile(r"[A-Za-z0-9_-]{16}")
WORDS = {
    Action.RETRY: "Retry",
    Action.CANCEL: "Cancel",
    Action.DEEPER_ANALYSIS: "Send to deeper analysis",
    Action.REMOVE_CONTENT: "Remove content",
}


@router.get("")
def get_actions(request: Request, caller: Reader, connection: Database) -> Response:
    """The account's bulk actions, the newest first."""
    rows, cursor = read_page(
        request.query_params.get("cursor"),
        PAGE,
        lambda before, most: services.list_actions(connection, caller.account_id, before, most),
        lambda row: row["seq"],
    )
    return page(
        request,
        "bulk_actions.html",
        actions=[bulk_action_view(row) for row in rows],
        words=WORDS,
        older=cursor,
        later="cursor" in request.query_params,
    )


@router.post("/plan")
async def plan(request: Request, caller: Submitter, form: Posted, state: Shared) -> Response:
    """How many jobs match, and what it would cost. Nothing is changed."""
    bulk_request, filters = _read_form(form)

    def work(connection: Any) -> BulkPlan:
        return services.plan(connection, caller.account_id, bulk_request)

    bulk_plan = await state.reports.work(request, caller.account_id, work)
    return page(
        request,
        "bulk_plan.html",
        plan=bulk_plan,
        word=WORDS[bulk_request.action],
        filters=filters,
        nonce=secrets.token_urlsafe(12),
    )


@router.post("")
async def begin(request: Request, caller: Submitter, form: Posted, state: Shared) -> Response:
    """Begin it. The same form begins one action, however often it is sent."""
    bulk_request, _ = _read_form(form)
    nonce = form.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise Refused("bad-request", "open the page Jobs again and repeat it")

    def work(connection: Any) -> tuple[BulkAction, bool]:
        key = f"console {nonce}"  # a caller's own key has no space in it
        return services.begin(connection, caller.account_id, caller.key_id, bulk_request, key)

    action, new = await state.reports.work(request, caller.account_id, work)
    if new:
        state.ready.ready()
        detail: dict[str, str | int] = {
            "bulk_action": str(action.id),
            "action": action.action.value,
        }
        entry = Entry(caller.account_id, caller.key_id, audit.BULK_BEGUN, None, detail)
        await audit.log_entry(state.pool, entry)
    return see_other(f"{PATH}/{action.id}")


@router.get("/{action_id}")
def get_action(request: Request, action_id: str, caller: Reader, connection: Database) -> Response:
    """An action with its progress."""
    action = services.action_of(connection, caller.account_id, read_id(action_id, "bulk action"))
    running = action.status is BulkStatus.RUNNING
    return page(
        request,
        "bulk_action.html",
        action=action,
        word=WORDS[action.action],
        running=running,
        may_abort=running and caller.may("submit"),
        look_s=LOOK_S,
    )


@router.post("/{action_id}/abort")
async def abort(action_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """Stop it before its next job."""
    id = read_id(action_id, "bulk action")
    await run_in_threadpool(state.with_connection, services.abort, caller.account_id, id)
    detail: dict[str, str | int] = {"bulk_action": str(id)}
    entry = Entry(caller.account_id, caller.key_id, audit.BULK_ABORTED, None, detail)
    await audit.log_entry(state.pool, entry)
    return see_other(f"{PATH}/{id}")


def _read_form(form: Mapping[str, str]) -> tuple[BulkRequest, JobFilters]:
    """Raises InvalidInput."""
    filters, selection = read_filters(form)
    try:
        action = Action(form.get("action", ""))
    except ValueError:
        raise InvalidInput([Problem("choose what to do", "?action")]) from None
    text = form.get("limit", "").strip()
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= MOST_JOBS):
        raise InvalidInput([Problem("is a number above 0, or empty", "?limit")])
    limit = int(text) if text else None
    return BulkRequest(action, selection, limit, details_of(filters)), filters
