"""/v1/features/{name}/calibrations: promises about what a feature's tiers serve."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Admin, Operator, Read, readable
from api.document.openapi import returns, takes
from api.http.bodies import Whole, answer, read_json, read_model
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.services.evidence.calibration import calibrations as services
from tierline.services.evidence.calibration.calibrate import (
    CalibrationRequest,
    calibrate,
    count_outcomes,
)
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels
from tierline.views.evidence.calibrations import (
    Calibration,
    CalibrationList,
    OutcomeCount,
    OutcomeToLabel,
    ToLabel,
)

router = APIRouter(tags=["routing"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]


class WantedPromise(BaseModel):
    """The promise to test."""

    model_config = ConfigDict(extra="forbid")

    max_error: float = Field(
        strict=True, gt=0.0001, lt=1, description="the share of served answers that may be wrong"
    )
    confidence: float = Field(strict=True, default=0.95, ge=0.5, le=0.9999)
    models: str | None = Field(
        default=None,
        max_length=2_000,
        description="the models that answered, as in a dry run; default: the most new outcomes",
    )
    reference: Literal["model", "human"] = Field(
        default="model",
        description="what decides which answers are wrong: the later tier or people's labels",
    )
    tier: str | None = Field(
        default=None, max_length=63, description="the tier; default: the first calibrated one"
    )


class NewCalibration(WantedPromise):
    """The promise to test, or only a count of the outcomes."""

    dry_run: bool = Field(default=False, description="only count the outcomes; use none up")


class LabelSample(BaseModel):
    """How many outcomes to label."""

    model_config = ConfigDict(extra="forbid")

    count: Whole = Field(ge=1, le=5_000)
    models: str | None = Field(default=None, max_length=2_000, description="who answered")
    tier: str | None = Field(
        default=None, max_length=63, description="the tier; default: the first calibrated one"
    )
    second_share: float = Field(
        strict=True, default=0.0, ge=0, le=1, description="the share that two people are to label"
    )


class Withdrawal(BaseModel):
    """Why a calibration ends."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


@router.post(
    "/v1/features/{name}/calibrations",
    status_code=201,
    summary="Calibrate a tier of a feature on its outcomes",
    responses={
        200: returns("A dry run: the outcomes that exist", OutcomeCount),
        201: returns("The result, in force from now on", Calibration),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewCalibration, {"max_error": 0.03, "confidence": 0.95}),
)
async def post_calibration(
    name: Name, request: Request, caller: Operator, state: Shared
) -> Response:
    """Calibrates like a threshold search and waits for the result. For many outcomes use
    POST …/threshold-searches instead: a search can be polled and cancelled. The outcomes used are
    used up, even if nothing can be promised. 409 if there are too few, with the number that is
    missing.
    """
    body = read_model(NewCalibration, await read_json(request, state.settings.max_json_depth))

    def work(connection: Any) -> OutcomeCount | Calibration:
        calibration_request = CalibrationRequest(**body.model_dump(exclude={"dry_run"}))
        if body.dry_run:
            return count_outcomes(connection, name, calibration_request)
        return calibrate(connection, name, calibration_request)

    calibration = await state.reports.work(request, caller.account_id, work)
    return answer(calibration, 200 if body.dry_run else 201)


@router.post(
    "/v1/features/{name}/label-sample",
    summary="Sample outcomes for people to label",
    responses={
        200: returns("A random sample; smaller if there are no more", ToLabel),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(LabelSample, {"count": 300}),
)
async def draw_label_sample(name: Name, request: Request, caller: Admin, state: Shared) -> Response:
    """Returns inputs without the tiers' answers, of the caller's account's jobs, or of all jobs for
    an operator where the installation allows it. Send the right output of all of them to
    POST /v1/feedback; then an operator calibrates with `"reference": "human"`.
    """
    body = read_model(LabelSample, await read_json(request, state.settings.max_json_depth))

    def work(connection: Any) -> list[OutcomeToLabel]:
        return draw_for_labels(
            connection,
            name,
            body.count,
            body.models,
            readable(state, caller),
            body.tier,
            second_share=body.second_share,
        )

    drawn = await state.reports.work(request, caller.account_id, work)
    return answer(ToLabel.of(drawn))


@router.get(
    "/v1/features/{name}/calibrations",
    summary="List a feature's calibrations",
    responses={
        200: returns("The newest first", CalibrationList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_calibrations(name: Name, _: Read, connection: Database) -> Response:
    """What each calibration promised, from which outcomes, and its state now."""
    return answer(CalibrationList.of(services.calibrations_of(connection, name)))


@router.post(
    "/v1/features/{name}/calibrations/{calibration_id}/withdraw",
    summary="Withdraw a calibration",
    responses={
        200: returns("It is no longer in force", Calibration),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(Withdrawal, {"reason": "the intake form changed"}),
)
async def withdraw_calibration(
    name: Name, calibration_id: Id, request: Request, _: Operator, state: Shared
) -> Response:
    """Within seconds, what it would have served escalates, until there is a new calibration."""
    body = read_model(Withdrawal, await read_json(request, state.settings.max_json_depth))

    def work(connection: Any) -> Calibration:
        return services.withdraw(connection, name, calibration_id, body.reason)

    return answer(await run_in_threadpool(state.with_connection, work))
