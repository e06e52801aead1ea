"""/v1/features/{name}/routers: what tells beforehand whether the first tier would fail."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.auth import Admin, Operator, Read, readable
from api.bodies import Whole, answer, body_of, read_json, read_model
from api.numbers import ASCII_DIGITS
from api.openapi import returns
from api.problems import documented
from api.state import Database, Report, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.services.steering import routers as services
from tierline.views.steering import Router, RouterList, TrainingData

router = APIRouter(tags=["routing"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]


class NewRouter(BaseModel):
    """A router that was trained on the feature's labelled log."""

    model_config = ConfigDict(extra="forbid")

    rows: Whole = Field(ge=1, le=1_000_000)
    right_rows: Whole = Field(ge=0, le=1_000_000)
    data_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the rows")
    quality: dict[str, Any] = Field(description="cross-validated, beside the baselines")
    document: dict[str, Any] = Field(description="the combination of its signals")
    vectors: str | None = Field(
        default=None,
        pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        description="base64 of its embeddings; null: it looks at none",
    )


@router.get(
    "/v1/features/{name}/training-data",
    summary="List what a feature's first tier handled well or badly",
    responses={
        200: returns("The newest, at most 5,000", TrainingData),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def get_training_data(name: Name, caller: Admin, state: Shared, connection: Report) -> Response:
    """Answers that failed a check or differ from their reference, and those that agree with it; of
    the caller's account's jobs, or of all where the installation lets operators read all.
    """
    found = services.training_data(connection, name, readable(state, caller))
    return answer(TrainingData.of(found))


@router.post(
    "/v1/features/{name}/routers",
    status_code=201,
    summary="Keep a trained router",
    responses={
        201: returns("It holds within seconds", Router),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=body_of(
        NewRouter,
        {
            "rows": 100,
            "right_rows": 80,
            "data_sha256": "0" * 64,
            "quality": {"auroc": 0.8},
            "document": {
                "intercept": 1.0,
                "terms": {"log_length": {"mean": 5.0, "scale": 1.0, "weight": -0.5}},
            },
        },
    ),
)
async def post_router(name: Name, request: Request, _: Operator, state: Shared) -> Response:
    """What `tierline router train` sends; for the prompt that the feature has now."""
    given = read_model(NewRouter, await read_json(request, state.settings.max_json_depth))
    fields = given.model_dump(exclude={"vectors"})
    vectors = None
    if given.vectors is not None:
        try:
            vectors = base64.b64decode(given.vectors, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput([Problem("is not base64", "/vectors")]) from None

    def work(connection: Any) -> dict[str, JSON]:
        return services.add_router(connection, name, **fields, vectors=vectors)

    return answer(Router.exactly(await run_in_threadpool(state.with_connection, work)), 201)


@router.get(
    "/v1/features/{name}/routers",
    summary="List a feature's routers",
    responses={
        200: returns("The newest first", RouterList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_routers(name: Name, _: Read, connection: Database) -> Response:
    """The newest of the feature's present prompt that was not withdrawn counts."""
    return answer(RouterList.of(services.routers_of(connection, name)))


@router.post(
    "/v1/features/{name}/routers/{router_id}/withdraw",
    summary="Withdraw a router",
    responses={
        200: returns("It counts no more", Router),
        **documented(401, 403, 404, 422, 503),
    },
)
def withdraw_router(name: Name, router_id: Id, _: Operator, connection: Database) -> Response:
    """Within seconds the one before it counts, or the rules of a cold start."""
    return answer(Router.exactly(services.withdraw_router(connection, name, router_id)))
