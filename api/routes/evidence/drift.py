"""/v1/features/{name}/drift: whether the traffic still resembles the evidence."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.access.auth import Operator, readable
from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import documented
from api.state import Report, Shared
from tierline.services.evidence.watch.drift_shown import drift_of
from tierline.views.evidence.drift import Drift

router = APIRouter(tags=["routing"])


@router.get(
    "/v1/features/{name}/drift",
    summary="Compare a feature's traffic with its evidence",
    responses={
        200: returns("The changes, with examples", Drift),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_drift(
    name: Annotated[str, Path(max_length=63)], caller: Operator, state: Shared, connection: Report
) -> Response:
    """The daily comparisons since the last calibration or router, the newest one's figures, and
    inputs of a new kind. The inputs are those of the caller's account's jobs, or of all jobs where
    the installation lets operators read all.
    """
    return answer(drift_of(connection, name, readable(state, caller)))
