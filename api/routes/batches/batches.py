"""/v1/batches: open, send parts, seal, poll, read outputs and errors, pause, resume, cancel."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Read, Submit
from api.access.shown import batch_for
from api.document.openapi import component, returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import Whole, answer, read_json, read_model
from api.http.problems import Refused, documented
from api.parameters.cursors import read_page
from api.parameters.ids import read_id
from api.parameters.numbers import ASCII_DIGITS
from api.routes.jobs.submit import IdempotencyKey, read_key
from api.state import Database, Report, Shared, State
from tierline.base.errors import Unavailable
from tierline.services.batches import batch as service
from tierline.services.batches import pause, read_batches
from tierline.services.batches.batch import MAX_PARTS, Opening
from tierline.views.batches.batches import (
    Batch,
    BatchPage,
    BatchPart,
    BatchPartPage,
    BatchRow,
    BatchState,
    NewBatchRow,
    row_view,
)

router = APIRouter(prefix="/v1/batches", tags=["batches"])

NDJSON = "application/x-ndjson"
MAX_PAGE = 200
MAX_PART_PAGE = 1000
ROWS_AT_ONCE = 500  # per statement while rows are streamed
PARTS_AT_ONCE = 2  # more would only hold more bodies and use the other routes' connections
PART_WAIT_S = 1.0

_room = threading.BoundedSemaphore(PARTS_AT_ONCE)

BatchId = Annotated[str, Path(description="the batch's id", json_schema_extra={"format": "uuid"})]
After = Annotated[
    int,
    Query(ge=0, le=2**62, description="only rows after this one: the `row` of the last line"),
    ASCII_DIGITS,
]
Most = Annotated[int | None, Query(ge=1, description="the most rows; default: all"), ASCII_DIGITS]


_PART_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "rows, one JSON object per line; at most 50,000 and 8 MiB",
        "content": {
            NDJSON: {
                "schema": {
                    "anyOf": [
                        component(NewBatchRow, sent=True),
                        {"description": "anything else is an invalid row, counted in errors"},
                    ]
                },
                "example": '{"custom_id":"a-1","input":{"text":"Invoice A-1"},"line":2}\n',
            }
        },
    }
}
_ROWS: dict[str, Any] = {
    "description": "One row per line, in the order of the input",
    "content": {NDJSON: {"schema": component(BatchRow)}},
}


class NewBatch(BaseModel):
    """What a batch is opened with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    feature: str = Field(description="an applied feature's name; the batch keeps its version")
    metadata: dict[str, Any] | None = Field(default=None, description="at most 16 KiB")
    webhook_url: str | None = Field(default=None, description="receives batch.completed")


class Seal(BaseModel):
    """How many parts the batch has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parts: Whole = Field(ge=0, le=MAX_PARTS, strict=False)


@router.post(
    "",
    status_code=201,
    summary="Open a batch",
    responses={
        200: returns("The earlier batch with this Idempotency-Key", BatchState),
        201: returns("Created; it accepts parts", BatchState),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewBatch, {"feature": "invoice-fields", "metadata": {"run": 7}}),
)
async def open_batch(
    request: Request, caller: Submit, state: Shared, idempotency_key: IdempotencyKey = None
) -> Response:
    """Opens a batch. Its Idempotency-Key is remembered as long as the batch exists."""
    key = read_key(idempotency_key)
    body = read_model(NewBatch, await read_json(request, state.settings.max_json_depth))
    opening = Opening(body.feature, body.metadata, body.webhook_url)
    row, existing = await asyncio.to_thread(
        state.with_connection, service.open_batch, caller.account_id, opening, key
    )
    headers = {"Location": f"/v1/batches/{row['id']}"}
    if existing:
        headers["Idempotent-Replayed"] = "true"
    return answer(batch_for(caller, row), 200 if existing else 201, headers)


@router.get(
    "",
    summary="List batches, the newest first",
    responses={
        200: returns("A page of batches, without counts and cost", BatchPage),
        **documented(401, 403, 422, 503),
    },
)
def list_batches(
    caller: Read,
    connection: Database,
    idempotency_key: Annotated[
        str | None, Query(max_length=255, description="only the batch with this key")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Lists only batches of the caller's account."""
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda before, most: read_batches.list_batches(
            connection, caller.account_id, before, most, idempotency_key
        ),
        lambda row: row["seq"],
    )
    return answer(BatchPage(data=[batch_for(caller, row) for row in page], next_cursor=next_cursor))


@router.get(
    "/{batch_id}",
    summary="Read a batch",
    responses={
        200: returns("The batch, with counts and cost so far", Batch),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_batch(batch_id: BatchId, caller: Read, connection: Report) -> Response:
    """Counts and cost are calculated from the batch's jobs and calls each time."""
    row = service.read(connection, caller.account_id, read_batch_id(batch_id))
    return answer(batch_for(caller, row, read_batches.progress(connection, row["id"])))


@router.put(
    "/{batch_id}/parts/{number}",
    summary="Send a part",
    responses={
        200: returns("It was sent before, with the same bytes", BatchPart),
        201: returns("Taken in", BatchPart),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=_PART_BODY,
)
async def put_part(
    request: Request,
    batch_id: BatchId,
    number: Annotated[int, Path(ge=1, le=MAX_PARTS), ASCII_DIGITS],
    caller: Submit,
    state: Shared,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """One row per line. Invalid rows are stored with their problems; the others become jobs."""
    if content_type.partition(";")[0].strip().lower() != NDJSON:
        raise Refused(
            "unsupported-media-type",
            f"send Content-Type: {NDJSON}, not {content_type[:80] or 'nothing'}",
            headers={"Accept": NDJSON},
        )
    id = read_batch_id(batch_id)
    body = await request.body()

    def take() -> service.AcceptedPart:
        if not _room.acquire(timeout=PART_WAIT_S):
            raise Unavailable("other parts are being written; send this one again")
        try:
            return state.with_connection(
                service.accept_part,
                caller.account_id,
                id,
                number,
                body,
                most_queued=caller.limits.max_queued_jobs,
            )
        finally:
            _room.release()

    stored = await asyncio.to_thread(take)
    if stored.replayed:
        return answer(BatchPart.model_validate(stored.part), 200, {"Idempotent-Replayed": "true"})
    state.ready.ready()
    return answer(BatchPart.model_validate(stored.part), 201)


@router.get(
    "/{batch_id}/parts",
    summary="List the accepted parts",
    responses={
        200: returns("A page of parts, by number", BatchPartPage),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_parts(
    batch_id: BatchId,
    caller: Read,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=MAX_PART_PAGE), ASCII_DIGITS] = 200,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """An interrupted sender can see here which parts to send."""
    row = service.read(connection, caller.account_id, read_batch_id(batch_id))
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda after, most: read_batches.parts_after(connection, row["id"], after or 0, most),
        lambda part: part.number,
    )
    parts = [BatchPart.model_validate(part) for part in page]
    return answer(BatchPartPage(data=parts, next_cursor=next_cursor))


@router.post(
    "/{batch_id}/seal",
    summary="Seal a batch",
    responses={
        200: returns("Sealed; it completes when its jobs have ended", BatchState),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(Seal, {"parts": 3}),
)
async def seal_batch(
    request: Request, batch_id: BatchId, caller: Submit, state: Shared
) -> Response:
    """Ends the batch's parts, which must be those from 1 to `parts`. A repeat changes nothing."""
    body = read_model(Seal, await read_json(request, state.settings.max_json_depth))
    id = read_batch_id(batch_id)
    row = await asyncio.to_thread(
        state.with_connection, service.seal, caller.account_id, id, body.parts
    )
    return answer(batch_for(caller, row))


@router.post(
    "/{batch_id}/cancel",
    summary="Cancel a batch",
    responses={
        200: returns("All its jobs have ended", BatchState),
        202: returns("Some of its jobs have not ended yet", BatchState),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_batch(
    batch_id: BatchId, caller: Submit, connection: Database, state: Shared
) -> Response:
    """Waiting jobs are cancelled at once, running jobs at their next step. A repeat changes
    nothing."""
    row = service.cancel(connection, caller.account_id, read_batch_id(batch_id))
    state.loop.call_soon_threadsafe(state.ready.ready)
    body = batch_for(caller, row, read_batches.progress_if_quick(connection, row["id"]))
    ended = row["completed_at"] is not None
    return answer(body, 200 if ended else 202, None if ended else ask_again(row["created_at"]))


@router.post(
    "/{batch_id}/pause",
    summary="Pause a batch",
    responses={
        200: returns("It is paused", BatchState),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def pause_batch(batch_id: BatchId, caller: Submit, connection: Database) -> Response:
    """None of its waiting jobs begins until it is resumed; jobs that were sent to a worker end.
    It still accepts parts. A repeat changes nothing; a batch that has ended is refused."""
    row = pause.pause(connection, caller.account_id, read_batch_id(batch_id))
    return answer(batch_for(caller, row))


@router.post(
    "/{batch_id}/resume",
    summary="Resume a batch",
    responses={
        200: returns("It is not paused", BatchState),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def resume_batch(
    batch_id: BatchId, caller: Submit, connection: Database, state: Shared
) -> Response:
    """Its waiting jobs take the places that they had before the pause. A repeat changes nothing;
    a batch that has ended is refused."""
    row = pause.resume(connection, caller.account_id, read_batch_id(batch_id))
    state.loop.call_soon_threadsafe(state.ready.ready)
    return answer(batch_for(caller, row))


@router.get(
    "/{batch_id}/output",
    summary="Read a batch's rows",
    response_class=Response,
    responses={
        200: _ROWS,
        **documented(401, 403, 404, 422, 503),
    },
)
def get_output(
    batch_id: BatchId, caller: Read, state: Shared, after: After = 0, limit: Most = None
) -> Response:
    """All rows so far: answered ones, waiting ones and invalid ones."""
    return stream_rows(
        state, caller.account_id, read_batch_id(batch_id), after, limit, unanswered_only=False
    )


@router.get(
    "/{batch_id}/errors",
    summary="Read the rows without an answer",
    response_class=Response,
    responses={
        200: _ROWS,
        **documented(401, 403, 404, 422, 503),
    },
)
def get_errors(
    batch_id: BatchId, caller: Read, state: Shared, after: After = 0, limit: Most = None
) -> Response:
    """Invalid rows, and jobs that failed, expired or were cancelled."""
    return stream_rows(
        state, caller.account_id, read_batch_id(batch_id), after, limit, unanswered_only=True
    )


def stream_rows(
    state: State,
    account_id: int,
    batch_id: UUID,
    after: int,
    limit: int | None,
    *,
    unanswered_only: bool,
) -> Response:
    """The batch's rows behind `after`, one to a line. Raises NotFound. Call it in a thread."""
    state.with_connection(service.read, account_id, batch_id)

    def lines() -> Iterator[bytes]:
        place, left = after, limit
        while left is None or left > 0:
            most = ROWS_AT_ONCE if left is None else min(left, ROWS_AT_ONCE)
            # One connection per page, so that a reader that stalls holds none.
            rows = state.with_connection(
                read_batches.page, batch_id, place, most, unanswered_only=unanswered_only
            )
            if rows:
                place = rows[-1]["batch_row"]
                yield b"".join(row_view(row).to_json() + b"\n" for row in rows)
            if left is not None:
                left -= len(rows)
            if len(rows) < most:
                return

    return StreamingResponse(lines(), media_type=NDJSON)


def read_batch_id(text: str) -> UUID:
    """Raises NotFound for a text that is not an id."""
    return read_id(text, "batch")
