"""/v1/features/{name}/drift: whether a feature's traffic still is what its evidence was made on."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.auth import Operator, readable
from api.bodies import answer
from api.openapi import returns
from api.problems import documented
from api.state import Report, Shared
from tierline.services.evidence.drift_shown import drift_of
from tierline.views.drift import Drift

router = APIRouter(tags=["routing"])


@router.get(
    "/v1/features/{name}/drift",
    summary="Get how a feature's traffic stands against its evidence",
    responses={
        200: returns("What moved, with examples", Drift),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_drift(
    name: Annotated[str, Path(max_length=63)], caller: Operator, state: Shared, connection: Report
) -> Response:
    """The daily looks since its last calibration or router, the figures of the newest one, and
    inputs of a new kind: of the caller's account's jobs, or of all where the installation lets
    administrators read all.
    """
    return answer(drift_of(connection, name, readable(state, caller)))
