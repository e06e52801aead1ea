"""The list of batches, a batch's page, and what a person may do with it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.shown import batch_for
from api.console.actions import act, log_action
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader, Submitter
from api.console.views.batches import errors_of, shown_of
from api.parameters.cursors import read_page
from api.routes.batches.batches import read_batch_id, stream_rows
from api.state import LateDatabase, Report, Shared
from tierline.base.ids import database_now
from tierline.services.accounts import audit
from tierline.services.batches import batch as services
from tierline.services.batches import pause, read_batches
from tierline.views.batches.batches import StoredBatch

PATH = f"{CONSOLE}/batches"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

PAGE = 30
MOST_COUNTED = 20_000  # rows on one page of the list: more would make it slow
MOST_ERRORS = 500  # rows whose errors are counted by kind
RUNNING = ("open", "sealed")


@router.get("")
def get_batches(request: Request, caller: Reader, connection: LateDatabase) -> Response:
    """A page of the account's batches, the newest first. Large ones are counted on their page."""
    rows, older = read_page(
        request.query_params.get("cursor"),
        PAGE,
        lambda before, most: read_batches.list_batches(connection, caller.account_id, before, most),
        lambda row: row["seq"],
    )
    left = MOST_COUNTED
    now = database_now()
    shown = []
    for row in rows:
        counted = row["rows"] <= left
        left -= row["rows"] if counted else 0
        progress = read_batches.progress_if_quick(connection, row["id"]) if counted else None
        batch = batch_for(caller, row, progress)
        shown.append((batch, None if progress is None else shown_of(batch, now)))
    return page(
        request,
        "batches.html",
        batches=shown,
        older=older,
        later="cursor" in request.query_params,
        may_submit=caller.may("submit"),
        now=now,
    )


@router.get("/{batch_id}")
def get_batch(request: Request, batch_id: str, caller: Reader, connection: Report) -> Response:
    """A batch with its counts, calculated anew, and the errors of its first rows by kind."""
    row = services.read(connection, caller.account_id, read_batch_id(batch_id))
    batch = batch_for(caller, row, read_batches.progress(connection, row["id"]))
    unanswered = read_batches.page(connection, row["id"], 0, MOST_ERRORS, unanswered_only=True)
    now = database_now()
    return page(
        request,
        "batch.html",
        batch=batch,
        shown=shown_of(batch, now),
        errors=errors_of(unanswered),
        all_errors=len(unanswered) < MOST_ERRORS,
        counted_errors=len(unanswered),
        running=batch.completed_at is None,
        may_change=caller.may("submit") and row["status"] in RUNNING,
        now=now,
    )


@router.post("/{batch_id}/cancel")
async def cancel_batch(batch_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """Ask that the batch be cancelled: waiting jobs end at once, running ones at their next
    step."""
    return await _change(batch_id, caller, state, audit.BATCH_CANCELLED, services.cancel)


@router.post("/{batch_id}/pause")
async def pause_batch(batch_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """No waiting job begins until the batch is resumed."""
    return await _change(batch_id, caller, state, audit.BATCH_PAUSED, pause.pause)


@router.post("/{batch_id}/resume")
async def resume_batch(batch_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """End the pause."""
    return await _change(batch_id, caller, state, audit.BATCH_RESUMED, pause.resume)


async def _change(
    batch_id: str,
    caller: Submitter,
    state: Shared,
    action: str,
    service: Callable[[Any, int, UUID], object],
) -> Response:
    id = read_batch_id(batch_id)
    await act(state, caller, action, {"batch": str(id)}, service, caller.account_id, id)
    state.ready.ready()
    return see_other(f"{PATH}/{id}")


@router.post("/{batch_id}/output")
async def download_output(batch_id: str, caller: Reader, _: Posted, state: Shared) -> Response:
    """All rows so far, as JSONL. The look is logged before anything is sent."""
    return await _download(batch_id, caller, state, unanswered_only=False)


@router.post("/{batch_id}/errors")
async def download_errors(batch_id: str, caller: Reader, _: Posted, state: Shared) -> Response:
    """The rows without an answer, in the same way."""
    return await _download(batch_id, caller, state, unanswered_only=True)


async def _download(
    batch_id: str, caller: Reader, state: Shared, *, unanswered_only: bool
) -> Response:
    id = read_batch_id(batch_id)

    def read(connection: Any) -> StoredBatch:
        return services.read(connection, caller.account_id, id)

    row = await run_in_threadpool(state.with_connection, read)
    kind = "errors" if unanswered_only else "output"
    await log_action(state, caller, audit.BATCH_DOWNLOADED, {"batch": str(id), "rows": kind})
    answer = await run_in_threadpool(
        lambda: stream_rows(state, caller.account_id, id, 0, None, unanswered_only=unanswered_only)
    )
    name = f"{row['feature']}-{str(id)[:8]}-{kind}.jsonl"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
