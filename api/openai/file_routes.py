"""/openai/v1/files: upload, list, retrieve, content, delete."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.access.auth import Read, Submit
from api.http.bodies import answer, encoded
from api.http.uploads import UploadReader
from api.openai.batch_objects import bad_line, error_line, output_line
from api.openai.errors import ROOT
from api.openai.file_objects import (
    FileId,
    check_purpose,
    file_object,
    output_object,
    read_fields,
    read_file_id,
)
from api.openai.lists import read_list_query
from api.routes.jobs.submit import IdempotencyKey, read_key
from api.state import Database, Shared, State
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.services.batches import batch_files
from tierline.services.files import files
from tierline.services.files.files import PART_BYTES, Upload
from tierline.views.batches.files import FileBatch, StoredFile

router = APIRouter(prefix=f"{ROOT}/files", include_in_schema=False)

JSONL = "application/jsonl"
BYTES = "application/octet-stream"
MOST_LISTED = 10_000


@router.post("")
async def upload_file(
    request: Request, caller: Submit, state: Shared, idempotency_key: IdempotencyKey = None
) -> Response:
    """Stores the file part by part, as it comes. It is there once its upload has ended."""
    key = read_key(idempotency_key)
    reader = UploadReader(request.headers.get("content-type"))
    receiving = _Receiving(state, caller.account_id, reader)
    try:
        async for body in request.stream():
            await receiving.take(reader.feed(body))
        fields = read_fields(reader.close())
        row, replayed = await receiving.end(purpose=fields.purpose, kept_s=fields.kept_s, key=key)
    except Exception:
        await receiving.discard()
        raise
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return answer(file_object(row), 200, headers)


class _Receiving:
    """An upload on its way to the database, at most one part of it in memory."""

    def __init__(self, state: State, account_id: int, reader: UploadReader) -> None:
        self._state = state
        self._account_id = account_id
        self._reader = reader
        self._upload: Upload | None = None
        self._part = bytearray()

    async def take(self, body: bytes) -> None:
        if self._upload is None and self._reader.filename is not None:
            check_purpose(self._reader.fields)
            self._upload = await asyncio.to_thread(
                self._state.with_connection,
                files.begin_upload,
                self._account_id,
                self._reader.filename,
            )
        self._part += body
        while len(self._part) >= PART_BYTES:
            await self._write(PART_BYTES)

    async def _write(self, size: int) -> None:
        assert self._upload is not None, "the file has begun"
        body = bytes(self._part[:size])
        del self._part[:size]
        await asyncio.to_thread(self._state.with_connection, files.add_part, self._upload, body)

    async def end(
        self, *, purpose: str, kept_s: int | None, key: str | None
    ) -> tuple[StoredFile, bool]:
        if self._upload is None:
            raise InvalidInput([Problem("is required and missing", "/file")])
        if self._part:
            await self._write(len(self._part))
        done = partial(files.end_upload, purpose=purpose, kept_s=kept_s, key=key)
        return await asyncio.to_thread(self._state.with_connection, done, self._upload)

    async def discard(self) -> None:
        """What is left if this fails expires."""
        if self._upload is not None:
            await asyncio.to_thread(self._state.with_connection, files.discard, self._upload)


@router.get("")
def list_files(request: Request, caller: Read, connection: Database) -> Response:
    """The uploads. The files of batches' outputs are named by their batches."""
    query = read_list_query(
        request.query_params, most=MOST_LISTED, default=MOST_LISTED, more=("purpose", "order")
    )
    after = None if query.after is None else _upload_id(query.after)
    if query.purpose not in (None, "batch"):
        return answer(_page([], has_more=False))
    rows = files.list_files(
        connection,
        caller.account_id,
        after=after,
        limit=query.limit + 1,
        oldest_first=query.order == "asc",
    )
    data = [file_object(row) for row in rows[: query.limit]]
    return answer(_page(data, has_more=len(rows) > query.limit))


def _page(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {
        **{"object": "list", "data": data, "first_id": first, "last_id": last},
        "has_more": has_more,
    }


def _upload_id(text: str) -> Any:
    file = read_file_id(text)
    if file.kind != "upload":
        raise InvalidInput([Problem("must be the id of an upload", "?after")])
    return file.id


@router.get("/{file_id}")
async def retrieve_file(request: Request, file_id: str, caller: Read, state: Shared) -> Response:
    """The file. The size of a batch's output is counted, which takes as long as reading it, and
    waits for the turn of a report."""
    file = read_file_id(file_id)
    if file.kind == "upload":
        read = partial(_naming_file, state.with_connection, file_id, files.read)
        return answer(file_object(await asyncio.to_thread(read, caller.account_id, file.id)))
    file_batch = await asyncio.to_thread(_output, state, caller.account_id, file, file_id)
    errors = file.kind == "errors"

    def size(connection: Any) -> int:
        lines = _lines(lambda service, *args: service(connection, *args), file_batch, errors=errors)
        return sum(len(line) for line in lines)

    size_bytes = await state.reports.work(request, caller.account_id, size)
    return answer(output_object(file_batch, size_bytes, errors=errors))


@router.get("/{file_id}/content")
def retrieve_content(file_id: str, caller: Read, state: Shared) -> Response:
    """The file's bytes."""
    file = read_file_id(file_id)
    if file.kind == "upload":
        row = _naming_file(state.with_connection, file_id, files.read, caller.account_id, file.id)
        return StreamingResponse(
            _bytes(state, row),
            media_type=BYTES,
            headers={"Content-Length": str(row["bytes"])},
        )
    file_batch = _output(state, caller.account_id, file, file_id)
    lines = _lines(state.with_connection, file_batch, errors=file.kind == "errors")
    return StreamingResponse(lines, media_type=JSONL)


@router.delete("/{file_id}")
def delete_file(file_id: str, caller: Submit, state: Shared) -> Response:
    """Removes the file. Once every file of a batch's outputs is deleted, the inputs and outputs of
    its jobs are removed."""
    file = read_file_id(file_id)
    if file.kind == "upload":
        _naming_file(state.with_connection, file_id, files.delete, caller.account_id, file.id)
    else:
        _output(state, caller.account_id, file, file_id)
        delete = partial(batch_files.delete_output, errors=file.kind == "errors")
        state.with_connection(delete, caller.account_id, file.id)
    return answer({"id": file_id, "object": "file", "deleted": True})


def _naming_file(call: Any, file_id: str, *args: Any) -> Any:
    """Do it, and name the file in its refusal."""
    try:
        return call(*args)
    except NotFound as error:
        raise NotFound(f"{error.message}: '{file_id}'") from None


def _output(state: State, account_id: int, file: FileId, file_id: str) -> FileBatch:
    """The batch of an output file. Raises NotFound if the file was deleted, or is not there yet."""
    file_batch: FileBatch = _naming_file(
        state.with_connection, file_id, batch_files.read, account_id, file.id
    )
    deleted = "errors_deleted_at" if file.kind == "errors" else "output_deleted_at"
    if file_batch["file"][deleted] is not None:  # type: ignore[literal-required]
        raise NotFound(f"the file '{file_id}' was deleted")
    if file_batch["batch"]["completed_at"] is None:
        raise NotFound(f"the file '{file_id}' is not there yet: its batch has not ended")
    return file_batch


def _bytes(state: State, row: StoredFile) -> Iterator[bytes]:
    place = 0
    # One connection per part, so that a reader that stalls holds none.
    while body := state.with_connection(files.body_at, row["id"], place):
        yield body
        place += len(body)


def _lines(call: Callable[..., Any], file_batch: FileBatch, *, errors: bool) -> Iterator[bytes]:
    """The lines of an output file. `call`: calls a service with a connection."""
    batch, endpoint = file_batch["batch"], file_batch["file"]["endpoint"]
    account_id, place = file_batch["file"]["account_id"], 0
    read: Any = batch_files.unanswered if errors else batch_files.answered
    while rows := call(read, account_id, batch["id"], place):
        place = rows[-1][0]
        lines = []
        for _, one in rows:
            if isinstance(one, dict):
                lines.append(bad_line(batch["id"], one))  # type: ignore[arg-type]
            else:
                make = error_line if errors else output_line
                lines.append(make(endpoint, *one))
        yield b"".join(encoded(line) + b"\n" for line in lines)
