"""/openai/v1/batches: create from a file, list, retrieve, cancel."""

import asyncio
from decimal import Decimal

from fastapi import APIRouter, Request, Response

from api.access.auth import Read, Submit
from api.access.keys import Caller
from api.http.bodies import answer, read_json
from api.openai.batch_objects import batch_object, read_batch_id, read_batch_request
from api.openai.errors import ROOT
from api.openai.lists import read_list_query
from api.routes.jobs.submit import IdempotencyKey, read_key
from api.state import Database, Report, Shared
from tierline.base.errors import NotFound
from tierline.rules.batches import Progress
from tierline.services.batches import batch_files
from tierline.services.batches.read_batches import progress
from tierline.views.batches.files import FileBatch

router = APIRouter(prefix=f"{ROOT}/batches", include_in_schema=False)

MOST_LISTED = 100
DEFAULT_LISTED = 20


@router.post("")
async def create_batch(
    request: Request, caller: Submit, state: Shared, idempotency_key: IdempotencyKey = None
) -> Response:
    """Creates a batch, whose lines are read in the background. Its Idempotency-Key is remembered as
    long as the batch exists."""
    key = read_key(idempotency_key)
    batch_request = read_batch_request(await read_json(request, state.settings.max_json_depth))
    file_batch, replayed = await asyncio.to_thread(
        state.with_connection, batch_files.create, caller.account_id, batch_request, key
    )
    so_far = Progress({}, Decimal(0), 0)
    if replayed:
        so_far = await asyncio.to_thread(state.with_connection, progress, file_batch["batch"]["id"])
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return _answer(caller, file_batch, so_far, headers)


@router.get("")
def list_batches(request: Request, caller: Read, connection: Report) -> Response:
    """The account's batches that are read from files, the newest first."""
    query = read_list_query(request.query_params, most=MOST_LISTED, default=DEFAULT_LISTED)
    after = None if query.after is None else read_batch_id(query.after)
    file_batches = batch_files.list_batches(connection, caller.account_id, after, query.limit + 1)
    data = [
        batch_object(one, progress(connection, one["batch"]["id"]), content=True)
        for one in file_batches[: query.limit]
    ]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    page = {"object": "list", "data": data, "first_id": first, "last_id": last}
    return answer({**page, "has_more": len(file_batches) > query.limit})


@router.get("/{batch_id}")
def retrieve_batch(batch_id: str, caller: Read, connection: Report) -> Response:
    """The batch, with its counts and its cost so far."""
    id = read_batch_id(batch_id)
    try:
        file_batch = batch_files.read(connection, caller.account_id, id)
    except NotFound:
        raise _nothing(batch_id) from None
    return _answer(caller, file_batch, progress(connection, id), {})


@router.post("/{batch_id}/cancel")
def cancel_batch(batch_id: str, caller: Submit, connection: Database, state: Shared) -> Response:
    """Cancels the batch: its running jobs at their next step. A repeat changes nothing."""
    id = read_batch_id(batch_id)
    try:
        file_batch = batch_files.cancel(connection, caller.account_id, id)
    except NotFound:
        raise _nothing(batch_id) from None
    state.loop.call_soon_threadsafe(state.ready.ready)
    return _answer(caller, file_batch, progress(connection, id), {})


def _nothing(batch_id: str) -> NotFound:
    return NotFound(f"there is no batch '{batch_id}'")


def _answer(
    caller: Caller, file_batch: FileBatch, so_far: Progress, headers: dict[str, str]
) -> Response:
    return answer(batch_object(file_batch, so_far, content=caller.may("read")), 200, headers)
