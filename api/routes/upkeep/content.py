"""/v1/jobs/{id}/content and the same for batches: removing inputs and outputs at once."""

from fastapi import APIRouter, Response

from api.access.auth import Submit
from api.access.shown import batch_for, job_for
from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import documented
from api.routes.batches.batches import BatchId, read_batch_id
from api.routes.jobs.read import JobId, read_job_id
from api.state import Database
from tierline.services.batches import batch
from tierline.services.batches.batch_content import remove_batch_content
from tierline.services.jobs.read_jobs import read_job
from tierline.services.upkeep.retention import remove_content
from tierline.views.batches.batches import BatchState
from tierline.views.jobs.jobs import JobState

router = APIRouter(prefix="/v1")

GO_ON_S = 1  # the Retry-After: the next request removes more


@router.delete(
    "/jobs/{job_id}/content",
    tags=["jobs"],
    summary="Remove a job's input and outputs",
    responses={
        200: returns("The job, without them", JobState),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def delete_content(job_id: JobId, caller: Submit, connection: Database) -> Response:
    """The job itself, its verdicts and its costs stay. A repeat changes nothing.

    409 until the job has ended. A webhook that is already on its way is sent unchanged.
    """
    id = read_job_id(job_id)
    remove_content(connection, caller.account_id, id)
    return answer(job_for(caller, read_job(connection, id)))


@router.delete(
    "/batches/{batch_id}/content",
    tags=["batches"],
    summary="Remove the inputs and outputs of a batch's jobs",
    responses={
        200: returns("The batch; nothing is left to remove", BatchState),
        202: returns("Some content is left: send the request again", BatchState),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def delete_batch_content(batch_id: BatchId, caller: Submit, connection: Database) -> Response:
    """Removes the content of each job, and the problems of invalid rows. A repeat continues.

    409 until all its jobs have ended.
    """
    id = read_batch_id(batch_id)
    complete = remove_batch_content(connection, caller.account_id, id)
    row = batch.read(connection, caller.account_id, id)
    if complete:
        return answer(batch_for(caller, row))
    return answer(batch_for(caller, row), 202, {"Retry-After": str(GO_ON_S)})
