"""/v1/jobs/{id}/content: what a job was asked and answered, removed at once."""

from fastapi import APIRouter, Response

from api import schemas as shapes
from api.auth import Submit
from api.bodies import answer
from api.problems import documented
from api.routes.jobs import JobId, read_job_id
from api.state import Database
from tierline.errors import NotFound
from tierline.services.retention import remove_content
from tierline.storage import job_reads
from tierline.views import job_json

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.delete(
    "/{job_id}/content",
    summary="Remove a job's input and outputs",
    responses={
        200: shapes.documented("The job, without them", "Job"),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def delete_content(job_id: JobId, caller: Submit, connection: Database) -> Response:
    """The job itself, its verdicts and its costs stay. A repeat changes nothing.

    409 until the job has ended. A webhook that is on its way goes out as it was written.
    """
    found = read_job_id(job_id)
    remove_content(connection, caller.account_id, found)
    row = job_reads.job_row(connection, found)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return answer(job_json(row))
