"""/v1/features/{name}/threshold-searches: calibrating a tier in a separate server process."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.access.auth import Operator, Read
from api.document.openapi import returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.routes.evidence.calibrations import WantedPromise
from api.state import Database, Shared
from tierline.services.evidence.calibration import threshold_searches as services
from tierline.services.evidence.calibration.calibrate import CalibrationRequest
from tierline.views.evidence.threshold_searches import ThresholdSearch, ThresholdSearchList

router = APIRouter(tags=["routing"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]
ENDED = ("completed", "failed", "cancelled")


@router.post(
    "/v1/features/{name}/threshold-searches",
    status_code=202,
    summary="Search for the threshold that keeps a promise",
    responses={
        202: returns("Queued, or it was queued before", ThresholdSearch),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(WantedPromise, {"max_error": 0.03, "confidence": 0.95}),
)
async def post_threshold_search(
    name: Name, request: Request, caller: Operator, state: Shared
) -> Response:
    """The result is a calibration, in force from then on. Its outcomes are used up, even if nothing
    can be promised. 409 if there are too few, with the number that is missing. A feature has one
    search at a time; a repeat with the same options returns it.
    """
    body = read_model(WantedPromise, await read_json(request, state.settings.max_json_depth))
    calibration_request = CalibrationRequest(**body.model_dump())

    def work(connection: Any) -> ThresholdSearch:
        return services.start(connection, name, calibration_request, caller.account_id)

    search = await state.reports.work(request, caller.account_id, work)
    place = f"/v1/features/{name}/threshold-searches/{search.id}"
    return _answer(search, 202, {"Location": place})


@router.get(
    "/v1/features/{name}/threshold-searches",
    summary="List a feature's threshold searches",
    responses={
        200: returns("The newest first, at most 100", ThresholdSearchList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_threshold_searches(name: Name, _: Read, connection: Database) -> Response:
    """Lists each search with its calibration."""
    return answer(ThresholdSearchList.of(services.searches_of(connection, name)))


@router.get(
    "/v1/features/{name}/threshold-searches/{search_id}",
    summary="Get a threshold search",
    responses={
        200: returns("The search's state", ThresholdSearch),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_threshold_search(name: Name, search_id: Id, _: Read, connection: Database) -> Response:
    """Includes its progress, and a Retry-After header while it has not ended."""
    return _answer(services.search_of(connection, name, search_id))


@router.post(
    "/v1/features/{name}/threshold-searches/{search_id}/cancel",
    status_code=202,
    summary="Cancel a threshold search",
    responses={
        200: returns("It has ended", ThresholdSearch),
        202: returns("It ends within seconds", ThresholdSearch),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_threshold_search(
    name: Name, search_id: Id, _: Operator, connection: Database
) -> Response:
    """Its process is killed, and no outcome is used up. An ended search does not change."""
    search = services.cancel(connection, name, search_id)
    return _answer(search, 200 if search.status in ENDED else 202)


def _answer(
    search: ThresholdSearch, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    retry_after = {} if search.status in ENDED else ask_again(search.created_at)
    return answer(search, status, {**retry_after, **(headers or {})})
