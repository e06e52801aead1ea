"""POST /v1/jobs:batch: up to 100 jobs in one call, which writes all of them or none."""

from fastapi import APIRouter, Request, Response

from api.access.auth import Submit
from api.access.shown import job_for
from api.document.openapi import returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import answer, read_json
from api.http.problems import documented
from api.routes.jobs.submit import RETRY_HEADER, STATE_HEADERS, IdempotencyKey, read_key
from api.state import Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.services.jobs.submitting.submission import Submission, read_submission
from tierline.services.jobs.submitting.submit_many import submit_all
from tierline.views.jobs.jobs import MOST_AT_ONCE, NewJobs, SubmittedJobs

router = APIRouter(tags=["jobs"])

_HEADERS = {
    "Idempotent-Replayed": STATE_HEADERS["Idempotent-Replayed"],
    **RETRY_HEADER,
}


@router.post(
    "/v1/jobs:batch",
    status_code=202,
    summary="Submit up to 100 jobs",
    responses={
        202: returns("All jobs are accepted", SubmittedJobs, _HEADERS),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        NewJobs,
        {"jobs": [{"feature": "invoice-fields", "input": {"text": "Invoice A-17\nTotal: 1 EUR"}}]},
    ),
)
async def submit_jobs(
    request: Request, caller: Submit, state: Shared, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accepts all jobs or none. They are the same as jobs of single calls, and run before batches.

    A repeat with the same Idempotency-Key and the same payload returns the same jobs in their
    current state.
    """
    key = read_key(idempotency_key)
    submissions = _submissions(await read_json(request, state.settings.max_json_depth))
    submitted = await submit_all(
        state.submitter,
        caller.account_id,
        submissions,
        key,
        account=caller.account,
        most_queued=caller.limits.max_queued_jobs,
        capped=caller.capped,
    )
    headers = ask_again(submitted[0].row["created_at"])
    if submitted[0].replayed:
        headers["Idempotent-Replayed"] = "true"
    else:
        state.ready.ready()
    jobs = [job_for(caller, one.row) for one in submitted]
    return answer(SubmittedJobs.model_construct(data=jobs), 202, headers)


def _submissions(body: JSON) -> list[Submission]:
    """The jobs in the body. Raises InvalidInput with the problems of all."""
    if not isinstance(body, dict) or not isinstance(body.get("jobs"), list):
        raise InvalidInput(
            [Problem('must be {"jobs": [...]}', "/jobs" if isinstance(body, dict) else "")]
        )
    unknown = sorted(body.keys() - {"jobs"})
    if unknown:
        raise InvalidInput([Problem("is not a known field", f"/{name}") for name in unknown])
    jobs = body["jobs"]
    if not 1 <= len(jobs) <= MOST_AT_ONCE:
        raise InvalidInput([Problem(f"must have 1 to {MOST_AT_ONCE} jobs", "/jobs")])
    submissions: list[Submission] = []
    problems: list[Problem] = []
    for place, job in enumerate(jobs):
        try:
            submissions.append(read_submission(job))
        except InvalidInput as refused:
            problems += [
                Problem(one.message, f"/jobs/{place}{one.path}") for one in refused.problems
            ]
    if problems:
        raise InvalidInput(problems)
    return submissions
