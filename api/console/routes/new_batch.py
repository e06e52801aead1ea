"""A new batch from a file, in two steps: upload it, look at the mapping, start."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.keys import Caller
from api.console.actions import act, log_action, require
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader, Submitter
from api.console.upload_form import Sent
from api.console.views.upload import (
    MOST_ROWS,
    ColumnMapping,
    Rows,
    batch_rows,
    input_fields,
    mapping_of,
    read_rows_of,
)
from api.console.visible import cut
from api.parameters.ids import read_id
from api.state import Database, Shared, State
from tierline.base.errors import InvalidInput, Problem
from tierline.features import Feature
from tierline.services.accounts import audit
from tierline.services.batches import batch as services
from tierline.services.batches import uploads
from tierline.services.batches.batch import Opening
from tierline.services.batches.read_rows import MAX_ROWS, read_rows
from tierline.services.features.find_feature import (
    StoredVersion,
    current_versions,
    version_of,
)

PATH = f"{CONSOLE}/batches"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

PREVIEWED = 5  # rows
MOST_BAD = 10  # rows whose problems are shown
PART_BYTES = 4 * 1024 * 1024
PART_ROWS = 10_000
MOST_CELL = 300  # characters


class PreviewRow(NamedTuple):
    """A row as its job would get it."""

    line: int
    custom_id: str | None
    input: str


@router.get("/new")
def get_new(request: Request, caller: Reader, state: Shared, connection: Database) -> Response:
    """The form for a file."""
    require(caller, "submit")
    return page(
        request,
        "new_batch.html",
        features=[version.name for version in current_versions(connection)],
        chosen=request.query_params.get("feature", ""),
        most_mb=state.settings.max_part_bytes // (1024 * 1024),
        most_rows=MOST_ROWS,
    )


@router.post("/new")
async def upload(caller: Submitter, form: Sent, state: Shared) -> Response:
    """Keep the file, and go on to its mapping. Nothing runs yet."""
    require(caller, "read")
    feature = form.fields.get("feature", "")

    def keep(connection: Any) -> uploads.Upload:
        version_of(connection, feature, None)
        read_rows_of(form.name, form.content)
        return uploads.keep_upload(
            connection, caller.account_id, caller.key_id, form.name, form.content
        )

    stored = await run_in_threadpool(state.with_connection, keep)
    await log_action(
        state, caller, audit.UPLOADED, {"feature": feature, "bytes": len(form.content)}
    )
    return see_other(f"{PATH}/uploads/{stored.id}?{urlencode({'feature': feature})}")


@router.get("/uploads/{upload_id}")
async def get_mapping(request: Request, upload_id: str, caller: Reader, state: Shared) -> Response:
    """Which column fills which field, and the first rows as their jobs would get them."""
    require(caller, "submit")
    query = request.query_params

    def work(connection: Any) -> dict[str, Any]:
        stored = uploads.find_upload(connection, _id(upload_id), caller.key_id)
        version = version_of(connection, query.get("feature", ""), None)
        return _mapped(stored, version, query)

    # Every row is checked, which takes as long as a report, so it waits for the turn of one.
    mapping = await state.reports.work(request, caller.account_id, work)
    return page(request, "mapping.html", **mapping)


@router.post("/uploads/{upload_id}/start")
async def start(upload_id: str, caller: Submitter, form: Posted, state: Shared) -> Response:
    """Start the batch. The same file starts one batch, however often the form is sent."""
    require(caller, "read")
    id = _id(upload_id)
    batch_id, rows = await run_in_threadpool(_start, state, caller, id, form)
    state.ready.ready()
    await log_action(state, caller, audit.BATCH_STARTED, {"batch": str(batch_id), "rows": rows})
    return see_other(f"{PATH}/{batch_id}")


@router.post("/uploads/{upload_id}/remove")
async def remove(upload_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """Remove the file without starting a batch."""
    id = _id(upload_id)

    def gone(connection: Any) -> None:
        uploads.find_upload(connection, id, caller.key_id)
        uploads.remove_upload(connection, id)

    await act(state, caller, audit.UPLOAD_REMOVED, None, gone)
    return see_other(PATH)


def _mapped(
    stored: uploads.Upload, version: StoredVersion, chosen: Mapping[str, str]
) -> dict[str, Any]:
    """What the page of a mapping shows."""
    feature = version.read()
    rows = read_rows_of(stored.name, stored.content)
    fields = input_fields(feature.input_schema)
    mapping = mapping_of(chosen, rows, fields)
    good, bad = 0, []
    for part in _parts(batch_rows(rows, mapping, feature.input_schema)):
        right, wrong = read_rows(feature, part)
        good += len(right)
        bad += wrong
    return {
        "upload": stored,
        "feature": feature.name,
        "version": version.version,
        "rows": rows,
        "fields": fields,
        "mapping": mapping,
        "preview": _preview(rows, mapping, feature),
        "good": good,
        "bad": len(bad),
        "problems": bad[:MOST_BAD],
    }


def _start(state: State, caller: Caller, upload_id: UUID, form: Posted) -> tuple[UUID, int]:
    with state.cold_pool.connection() as connection:
        stored = uploads.find_upload(connection, upload_id, caller.key_id)
        name = form.get("feature", "")
        version = version_of(connection, name, None)
        if str(version.version) != form.get("version", ""):
            raise InvalidInput(
                [Problem("the feature has a new version: look at the mapping again", "/feature")]
            )
        feature = version.read()
        rows = read_rows_of(stored.name, stored.content)
        mapping = mapping_of(form, rows, input_fields(feature.input_schema))
        opened, _ = services.open_batch(
            connection, caller.account_id, Opening(name), f"console:{upload_id}"
        )
        batch_id: UUID = opened["id"]
        number = 0
        for part in _parts(batch_rows(rows, mapping, feature.input_schema)):
            number += 1
            services.accept_part(
                connection,
                caller.account_id,
                batch_id,
                number,
                part,
                most_queued=caller.limits.max_queued_jobs,
            )
        services.seal(connection, caller.account_id, batch_id, number)
        uploads.remove_upload(connection, upload_id)
    return batch_id, len(rows.cells)


def _parts(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines as bodies of parts."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and (size + len(line) > PART_BYTES or len(part) >= min(PART_ROWS, MAX_ROWS)):
            yield b"\n".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield b"\n".join(part)


def _preview(rows: Rows, mapping: ColumnMapping, feature: Feature) -> list[PreviewRow]:
    first = Rows(
        rows.columns,
        rows.cells[:PREVIEWED],
        rows.lines[:PREVIEWED],
        as_sent=rows.as_sent,
        is_text=rows.is_text,
    )
    preview_rows = []
    for line in batch_rows(first, mapping, feature.input_schema):
        row = json.loads(line)
        text = json.dumps(row.get("input"), ensure_ascii=False, indent=2)
        preview_rows.append(
            PreviewRow(row["line"], row.get("custom_id"), cut(text, MOST_CELL * 4).text)
        )
    return preview_rows


def _id(text: str) -> UUID:
    return read_id(text, "uploaded file")
