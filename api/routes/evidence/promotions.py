"""/v1/features/{name}/promotions: letting a small tier answer by its evidence, or no more."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Operator, Read
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model, whole
from api.http.problems import documented
from api.state import Database, Shared
from tierline.services.evidence.watch import promotions as services
from tierline.services.evidence.watch.promotions import PromotionRequest
from tierline.views.evidence.evaluations import Demotion, MadePromotion, PromotionList

router = APIRouter(tags=["evaluations"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(whole)]


class NewPromotion(BaseModel):
    """How to promote the feature's first tier."""

    model_config = ConfigDict(extra="forbid")

    share: float = Field(
        strict=True,
        default=1.0,
        ge=0.0001,
        le=1.0,
        description="share of the jobs; below 1 it is a canary",
    )
    evaluation: Id | None = Field(default=None, description="null: the newest valid one")
    keep_confidence: bool = Field(
        default=False, description="low confidence escalates even if 95% of the quality is kept"
    )
    dry_run: bool = Field(default=False, description="only show what would change")


class NewDemotion(BaseModel):
    """Why the last tier shall answer again."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern="^[^\\x00]*$")


@router.post(
    "/v1/features/{name}/promotions",
    status_code=201,
    summary="Promote a feature's first tier",
    responses={
        200: returns("What would change: a dry run", MadePromotion),
        201: returns("New jobs use the version that it made", MadePromotion),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewPromotion, {"share": 0.1}),
)
async def post_promotion(name: Name, request: Request, caller: Operator, state: Shared) -> Response:
    """Decides by the lower bound of the kept quality, not by the point estimate. A larger share
    needs 50 compared answers of the canary before it.
    """
    body = read_model(NewPromotion, await read_json(request, state.settings.max_json_depth))
    promotion_request = PromotionRequest(**body.model_dump())

    def work(connection: Any) -> MadePromotion:
        return services.promote(connection, name, promotion_request)

    promotion = await state.reports.work(request, caller.account_id, work)
    return answer(promotion, 200 if body.dry_run else 201)


@router.get(
    "/v1/features/{name}/promotions",
    summary="List a feature's promotions",
    responses={
        200: returns("The newest first", PromotionList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_promotions(name: Name, _: Read, connection: Database) -> Response:
    """The state of each promotion, and the results of the one in force."""
    return answer(PromotionList.of(services.promotions_of(connection, name)))


@router.post(
    "/v1/features/{name}/demote",
    status_code=201,
    summary="Let a feature's last tier answer all jobs again",
    responses={
        201: returns("New jobs use the version that it made", Demotion),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewDemotion, {"reason": "a partner's new form"}),
)
async def post_demotion(name: Name, request: Request, _: Operator, state: Shared) -> Response:
    """The other tiers stay in the file. A promotion in force ends."""
    body = read_model(NewDemotion, await read_json(request, state.settings.max_json_depth))

    def work(connection: Any) -> Demotion:
        return services.demote(connection, name, body.reason)

    return answer(await run_in_threadpool(state.with_connection, work), 201)
