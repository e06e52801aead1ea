"""/openai/v1/responses: create, retrieve, stream, cancel, delete, list the input."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.access.auth import Read, Submit
from api.access.keys import Caller
from api.http.ask_again import ask_again
from api.http.bodies import answer
from api.http.hot_routes import HotRoute
from api.openai.errors import ROOT
from api.openai.ids import MESSAGE, openai_id, read_response_id
from api.openai.response_events import Streamed
from api.openai.response_objects import (
    ended,
    input_items,
    job_headers,
    response_object,
)
from api.openai.submitting import admit_waiting, read_request, replayed_header, submit_request
from api.openai.waiting import (
    ResponseStream,
    attempts_of,
    ended_job,
    stream_response,
)
from api.routes.jobs.submit import ContentType, IdempotencyKey
from api.state import Database, Shared, State
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.features import Feature
from tierline.openai_requests.inputs import sent_messages
from tierline.openai_requests.parameters import read_response_request
from tierline.rules.job_events import AttemptFacts
from tierline.services.features.find_feature import version_of
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.read_jobs import find_job, find_request, read_job
from tierline.services.upkeep.retention import remove_content
from tierline.views.jobs.jobs import JobRow

hot = APIRouter(prefix=f"{ROOT}/responses", route_class=HotRoute, include_in_schema=False)
router = APIRouter(prefix=f"{ROOT}/responses", include_in_schema=False)

ResponseId = Annotated[str, Path()]
_TRUE = {"true": True, "false": False}
_NUMBER = re.compile(r"[0-9]{1,9}")


@hot.post("")
async def create_response(
    request: Request,
    caller: Submit,
    state: Shared,
    content_type: ContentType = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submits a job. With background=true the answer comes at once, else when the job has ended."""
    openai_request, key = await read_request(
        request, state, content_type, idempotency_key, read_response_request
    )
    if openai_request.stream or not openai_request.background:
        admit_waiting(state, caller)  # before the job is written: a refusal means that it was not
    submitted = await submit_request(
        state, caller, openai_request, key, where="input", format="text/format"
    )
    headers = replayed_header(submitted)
    if openai_request.stream:
        return _stream(
            request, state, caller, submitted.row, openai_request.background, -1, headers
        )
    if openai_request.background:
        return await _shown(state, caller, submitted.row, headers)
    end = await ended_job(request, state, caller, submitted)
    return _answer(caller, end.row, end.attempts, headers, background=False)


@hot.get("/{response_id}")
async def retrieve_response(
    request: Request, response_id: ResponseId, caller: Read, state: Shared
) -> Response:
    """The response now, or with stream=true its events after `starting_after`."""
    stream, after = _read_query(request.query_params)
    row = await _find(state, caller, response_id)
    if stream:
        state.streams.admit(caller)
        return _stream(request, state, caller, row, True, after, {})
    return await _shown(state, caller, row, {})


@router.post("/{response_id}/cancel")
def cancel_response(
    response_id: str, caller: Submit, connection: Database, state: Shared
) -> Response:
    """Cancels the job. It is in_progress until its running call has ended. A repeat changes
    nothing."""
    id = read_response_id(response_id)
    _naming_response(lambda: cancel(connection, caller.account_id, id), response_id)
    row = read_job(connection, id)
    if ended(row):
        state.tell_ended(id)
    return _answer(caller, row, (), {})


@router.delete("/{response_id}")
def delete_response(response_id: str, caller: Submit, connection: Database) -> Response:
    """Removes the job's input and output: the response is not found from then on."""
    id = read_response_id(response_id)
    _naming_response(lambda: remove_content(connection, caller.account_id, id), response_id)
    return answer({"id": response_id, "object": "response.deleted", "deleted": True})


@router.get("/{response_id}/input_items")
async def list_input_items(
    request: Request, response_id: str, caller: Read, state: Shared
) -> Response:
    """The messages with the job's input."""
    for name in request.query_params:
        if name not in ("after", "limit", "order"):
            raise InvalidInput([Problem("is not supported", f"?{name}")])
    row = await _find(state, caller, response_id)
    job_request = await find_request(state.pool, caller.account_id, row["id"])
    data = []
    after = request.query_params.get("after")
    if job_request is not None and row["input_removed_at"] is None and not after:
        data = input_items(row, sent_messages(job_request["input"], await _feature(state, row)))
        if request.query_params.get("order") != "asc":
            data.reverse()  # OpenAI's default is the newest first
    none = openai_id(f"{MESSAGE}in_", row["id"])
    first, last = (data[0]["id"], data[-1]["id"]) if data else (none, none)
    return answer(
        {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": False}
    )


async def _feature(state: State, row: JobRow) -> Feature:
    """The version that the job ran."""
    current = await state.submitter.current(row["feature"])
    if current.version == row["feature_version"]:
        return current.feature

    def read() -> Feature:
        stored = state.with_connection(version_of, row["feature"], row["feature_version"])
        return stored.read()

    return await asyncio.to_thread(read)


async def _find(state: State, caller: Caller, response_id: str) -> JobRow:
    """The job of a response. Raises NotFound, also for one whose content was removed."""
    id = read_response_id(response_id)
    row = await find_job(state.pool, caller.account_id, id)
    if row is None:
        raise _nothing(response_id)
    if row["input_removed_at"] is not None and row["output_removed_at"] is not None:
        raise NotFound(
            f"the content of the response '{response_id}' was removed. What is left of its job:"
            f" GET /v1/jobs/{id}"
        )
    return row


def _nothing(response_id: str) -> NotFound:
    return NotFound(f"there is no response '{response_id}'")


def _naming_response(act: Callable[[], object], response_id: str) -> None:
    """Do it, and say `response` where it says `job`."""
    try:
        act()
    except NotFound:
        raise _nothing(response_id) from None


async def _shown(state: State, caller: Caller, row: JobRow, headers: Mapping[str, str]) -> Response:
    return _answer(caller, row, await attempts_of(state, row), headers)


def _answer(
    caller: Caller,
    row: JobRow,
    attempts: Sequence[AttemptFacts],
    headers: Mapping[str, str],
    *,
    background: bool = True,
) -> Response:
    body = response_object(
        row, content=caller.may("read"), background=background, attempts=attempts
    )
    again = {} if ended(row) else ask_again(row["created_at"])
    return answer(body, 200, {**headers, **again, **job_headers(row, attempts)})


def _stream(
    request: Request,
    state: State,
    caller: Caller,
    row: JobRow,
    background: bool,
    after: int,
    headers: Mapping[str, str],
) -> Response:
    stream = ResponseStream(caller, Streamed(row, caller.may("read"), background), after)
    return stream_response(request, state, stream, row, headers)


def _read_query(query: Mapping[str, str]) -> tuple[bool, int]:
    """Whether to stream, and after which number. Raises InvalidInput."""
    problems = [
        Problem("is not supported", f"?{name}")
        for name in query
        if name not in ("stream", "starting_after", "include_obfuscation")
    ]
    for name in ("stream", "include_obfuscation"):
        if query.get(name, "false") not in _TRUE:
            problems.append(Problem("must be true or false", f"?{name}"))
    if query.get("include_obfuscation") == "true":
        problems.append(Problem("must be false: events are not padded", "?include_obfuscation"))
    stream = query.get("stream") == "true"
    after = query.get("starting_after")
    if after is not None and not stream:
        problems.append(Problem("is only for stream=true", "?starting_after"))
    if after is not None and not _NUMBER.fullmatch(after):
        problems.append(Problem("must be the sequence_number of an event", "?starting_after"))
    if problems:
        raise InvalidInput(problems)
    return stream, -1 if after is None else int(after)
