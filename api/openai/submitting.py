"""From a request of OpenAI's to a job that is written."""

from collections.abc import Callable

from fastapi import Request

from api.access.auth import needs
from api.access.keys import Caller
from api.http.bodies import refuse_other_types, strict_json
from api.routes.jobs.submit import read_key
from api.state import State
from tierline.base.errors import InvalidInput
from tierline.base.json_text import JSON
from tierline.features import Feature
from tierline.openai_requests.formats import check_format
from tierline.openai_requests.inputs import RequestMessages, job_input, read_messages, where_sent
from tierline.openai_requests.model_names import check_current, read_model_name
from tierline.openai_requests.parameters import AcceptedRequest
from tierline.services.jobs.submitting.current_versions import UnknownFeature
from tierline.services.jobs.submitting.new_jobs import Submitted
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.jobs.submitting.submission import Submission, metadata_problems


async def read_request(
    request: Request,
    state: State,
    content_type: str | None,
    idempotency_key: str | None,
    read: Callable[[JSON], AcceptedRequest],
) -> tuple[AcceptedRequest, str | None]:
    """The body, parsed by `read`, and the request's Idempotency-Key.

    Raises Refused and InvalidInput.
    """
    body = await request.body()
    key = read_key(idempotency_key)
    refuse_other_types(content_type)
    return read(strict_json(body, state.settings.max_json_depth)), key


def admit_waiting(state: State, caller: Caller) -> None:
    """Before a job is written whose caller waits for its answer.

    Raises Refused (403) unless the caller may read the answer, and as `streams.admit`.
    """
    if not caller.may("read"):
        raise needs(caller, "read", "waiting for the answer")
    state.streams.admit(caller)


def replayed_header(submitted: Submitted) -> dict[str, str]:
    """The header of an answer to an Idempotency-Key that was used before."""
    return {"Idempotent-Replayed": "true"} if submitted.replayed else {}


async def submit_request(
    state: State,
    caller: Caller,
    openai_request: AcceptedRequest,
    key: str | None,
    *,
    where: str,
    format: str,
) -> Submitted:
    """Write the job and wake the dispatcher. `where` and `format`: the names of the request's input
    and its format.

    Raises InvalidInput and NotFound with this request's names, and what `Submitter.submit` raises.
    """
    submitted = await _write(state, caller, openai_request, key, where, format)
    if not submitted.replayed:
        state.ready.ready()
    return submitted


async def _write(
    state: State,
    caller: Caller,
    openai_request: AcceptedRequest,
    key: str | None,
    where: str,
    format: str,
) -> Submitted:
    name, version = read_model_name(openai_request.model)
    problems = (
        [] if openai_request.metadata is None else list(metadata_problems(openai_request.metadata))
    )
    if problems:
        raise InvalidInput(problems)
    messages = read_messages(openai_request.sent, where, openai_request.instructions)
    submitter = state.submitter
    try:
        current = await submitter.current(name)
        while True:
            try:
                submission = _submission(
                    openai_request,
                    current.feature,
                    messages,
                    state.settings.max_json_depth,
                    where,
                    format,
                )
                return await submitter.submit(
                    caller.account_id,
                    submission,
                    key,
                    account=caller.account,
                    most_queued=caller.limits.max_queued_jobs,
                    capped=caller.capped,
                    only_version=current.version if version is None else version,
                )
            except InvalidInput:
                now = await submitter.current(name, fresh=True)
                if now.version == current.version:
                    check_current(name, version, now.version)
                    raise
                current = now  # another version is current by now: it decides
    except (KeyReused, UnknownFeature) as refused:
        raise type(refused)([where_sent(one, where) for one in refused.problems]) from None
    except InvalidInput as refused:
        problems = [where_sent(one, where) for one in refused.problems]
        raise InvalidInput(problems, refused.left_out) from None


def _submission(
    openai_request: AcceptedRequest,
    feature: Feature,
    messages: RequestMessages,
    max_depth: int,
    where: str,
    format: str,
) -> Submission:
    check_format(openai_request.format, feature.output_schema, f"/{format}")
    mapped = job_input(messages, feature, where, max_depth)
    metadata = openai_request.metadata
    return Submission(
        feature=feature.name,
        input=mapped.input,
        metadata={**(metadata or {}), **mapped.notes} if mapped.notes else metadata,
        user=openai_request.user,
    )
