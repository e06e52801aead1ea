"""Following a job for OpenAI's clients: until it ends, or event by event."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.access.keys import Caller
from api.access.shown import event_for
from api.http.bodies import encoded
from api.http.problems import Refused
from api.job_watch import JobStream
from api.openai.ids import RESPONSE, openai_id
from api.openai.response_events import Streamed, events_before_the_end, events_of_the_end
from api.state import State
from api.streams import StreamResponse, chunk
from tierline.rules.job_events import AttemptFacts, JobEvent, events_of
from tierline.services.jobs.job_events import find_event_row
from tierline.services.jobs.submitting.new_jobs import Submitted
from tierline.views.jobs.events import EventRow
from tierline.views.jobs.jobs import JobRow

MOST_WAIT_S = 590.0  # OpenAI's clients give up after 600 s


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    row: JobRow
    attempts: Sequence[AttemptFacts]


class FollowedJob(JobStream):
    """A job's events, each once."""

    def new_events(self, row: EventRow) -> Iterator[JobEvent]:
        """The events since the last call."""
        for event in events_of(row.facts, self.position):
            self.position = event.number
            yield event


class _Waiting(FollowedJob):
    """Nothing is sent: it closes when the job has ended."""

    ended: Ended | None = None

    def advance(self, row: EventRow, job: JobRow | None) -> None:
        for event in self.new_events(row):
            if event.last and job is not None:
                self.ended = Ended(job, row.facts.attempts)
                self.close()


class ResponseStream(FollowedJob):
    """The events of a response whose sequence_number is above `after`."""

    def __init__(self, caller: Caller, streamed: Streamed, after: int = -1) -> None:
        super().__init__(caller, streamed.row["id"])
        self._streamed = streamed
        self._after = after

    def advance(self, row: EventRow, job: JobRow | None) -> None:
        for event in self.new_events(row):
            if event.last and job is not None:
                events = events_of_the_end(self._streamed, event, job, row.facts.attempts)
            else:
                label = event_for(self.caller, row, event).data.status_label
                events = events_before_the_end(self._streamed, event, label)
            for one in events:
                if one["sequence_number"] > self._after:
                    self.put(chunk(one["type"], encoded(one)))
            if event.last:
                self.close()


def stream_response(
    request: Request, state: State, stream: FollowedJob, row: JobRow, headers: Mapping[str, str]
) -> StreamResponse:
    """The job's events, as long as the key is valid."""
    return StreamResponse(
        stream,
        state.job_watch.job(stream),
        lambda: state.keys.caller(request.headers.get("authorization")),
        headers={**headers, "Tierline-Job": str(row["id"])},
        retry=False,  # OpenAI's clients would read it as an event
    )


async def attempts_of(state: State, row: JobRow) -> Sequence[AttemptFacts]:
    """The job's attempts until now."""
    if row["started_at"] is None:
        return ()
    event_row = await find_event_row(state.pool, row["account_id"], row["id"])
    return () if event_row is None else event_row.facts.attempts


async def ended_job(request: Request, state: State, caller: Caller, submitted: Submitted) -> Ended:
    """The submitted job, once it has ended. Raises as `wait_until_ended`."""
    if not submitted.ended:
        return await wait_until_ended(request, state, caller, submitted.row)
    return Ended(submitted.row, await attempts_of(state, submitted.row))


async def wait_until_ended(request: Request, state: State, caller: Caller, row: JobRow) -> Ended:
    """The job, once it has ended.

    Raises ClientDisconnect if the caller hangs up, and Refused if the job takes longer than
    MOST_WAIT_S, the process stops or the key was revoked meanwhile. The job goes on in each case.
    """
    waiting = _Waiting(caller, row["id"])
    left = asyncio.create_task(_hung_up(request, waiting))
    try:
        async with state.job_watch.job(waiting):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MOST_WAIT_S):
                    while not waiting.closed:
                        waiting.changed.clear()
                        await waiting.changed.wait()
    finally:
        left.cancel()
    if waiting.ended is not None:
        await state.keys.caller(request.headers.get("authorization"))
        return waiting.ended
    if left.done() and not left.cancelled():
        raise ClientDisconnect
    name = openai_id(RESPONSE, row["id"])
    raise Refused(
        "too-slow",
        f"the job goes on and is not ended yet: retrieve the response {name}. For long jobs, create"
        " responses with background=true",
        headers={"x-should-retry": "false"},  # a repeat without an Idempotency-Key is another job
    )


async def _hung_up(request: Request, waiting: JobStream) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    waiting.close()
