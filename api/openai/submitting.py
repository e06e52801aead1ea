"""From a request of OpenAI's to a job that is written."""

from api.access.keys import Caller
from api.openai.formats import check_format
from api.openai.inputs import job_input, read_text, where_sent
from api.openai.model_names import check_current, read_model_name
from api.openai.parameters import Asked
from api.state import State
from tierline.base.errors import InvalidInput
from tierline.features import Feature
from tierline.services.jobs.submission import Submission, metadata_problems
from tierline.services.jobs.submit import KeyReused, Submitted, UnknownFeature


async def submit_asked(
    state: State, caller: Caller, asked: Asked, key: str | None, *, where: str, format: str
) -> Submitted:
    """Write the job. `where` and `format`: the names of the request's input and its format.

    Raises InvalidInput and NotFound with this request's names, and what `Submitter.submit` raises.
    """
    name, version = read_model_name(asked.model)
    problems = [] if asked.metadata is None else list(metadata_problems(asked.metadata))
    if problems:
        raise InvalidInput(problems)
    text = read_text(asked.sent, where)
    submitter = state.submitter
    try:
        current = await submitter.current(name)
        while True:
            try:
                submission = _submission(
                    asked, current.feature, text, state.settings.max_json_depth, where, format
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
    asked: Asked, feature: Feature, text: str, max_depth: int, where: str, format: str
) -> Submission:
    check_format(asked.format, feature.output_schema, f"/{format}")
    return Submission(
        feature=feature.name,
        input=job_input(text, feature.input_schema, where, max_depth),
        metadata=asked.metadata,
        user=asked.user,
    )
