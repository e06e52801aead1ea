"""/openai/v1/chat/completions: a job whose caller waits for its answer."""

from fastapi import APIRouter, Request, Response

from api.access.auth import Submit
from api.access.keys import Caller
from api.http.bodies import answer, encoded
from api.http.hot_routes import HotRoute
from api.openai.chat_objects import (
    chunks_before_the_answer,
    chunks_of_the_answer,
    completion_object,
    failure,
)
from api.openai.errors import ROOT
from api.openai.response_objects import job_headers
from api.openai.submitting import admit_waiting, read_request, replayed_header, submit_request
from api.openai.waiting import FollowedJob, ended_job, stream_response
from api.routes.jobs.submit import ContentType, IdempotencyKey
from api.state import Shared
from tierline.features.model import DEEPER_LABEL
from tierline.openai_requests.parameters import read_chat_request
from tierline.rules.job_events import ESCALATED
from tierline.views.jobs.events import EventRow
from tierline.views.jobs.jobs import JobRow

hot = APIRouter(prefix=f"{ROOT}/chat/completions", route_class=HotRoute, include_in_schema=False)

_DONE = b"data: [DONE]\n\n"
_DEEPER = f": {DEEPER_LABEL}\n\n".encode()  # a comment, which clients do not read


@hot.post("")
async def create_completion(
    request: Request,
    caller: Submit,
    state: Shared,
    content_type: ContentType = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submits a job and answers when it has ended. A job without an answer is an error."""
    openai_request, key = await read_request(
        request, state, content_type, idempotency_key, read_chat_request
    )
    admit_waiting(state, caller)  # before the job is written: a refusal means that it was not
    submitted = await submit_request(
        state, caller, openai_request, key, where="messages", format="response_format"
    )
    headers = replayed_header(submitted)
    if openai_request.stream:
        stream = CompletionStream(caller, submitted.row, include_usage=openai_request.include_usage)
        return stream_response(request, state, stream, submitted.row, headers)
    end = await ended_job(request, state, caller, submitted)
    headers |= job_headers(end.row, end.attempts)
    failed = failure(end.row)
    if failed is None:
        return answer(completion_object(end.row, end.attempts), 200, headers)
    status, error = failed
    return answer(error, status, {**headers, "x-should-retry": "false"})


class CompletionStream(FollowedJob):
    """The chunks of a chat completion. A job without an answer ends it with an error."""

    def __init__(self, caller: Caller, row: JobRow, *, include_usage: bool) -> None:
        super().__init__(caller, row["id"])
        self._include_usage = include_usage
        for chunk in chunks_before_the_answer(row, include_usage=include_usage):
            self._put(chunk)

    def advance(self, row: EventRow, job: JobRow | None) -> None:
        for event in self.new_events(row):
            if event.type == ESCALATED:
                self.put(_DEEPER)
            if event.last:
                if job is not None:
                    self._end(job)
                self.close()

    def _end(self, job: JobRow) -> None:
        failed = failure(job)
        if failed is not None:
            self._put(failed[1])
            return
        for chunk in chunks_of_the_answer(job, include_usage=self._include_usage):
            self._put(chunk)
        self.put(_DONE)

    def _put(self, chunk: dict[str, object]) -> None:
        self.put(b"data: %s\n\n" % encoded(chunk))
