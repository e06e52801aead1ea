"""/v1/features/{name}/micro-models and /routers: trained artefacts, and the rows for training.

Uploading an artefact that a client trained is deprecated, because trainings run on the server. Such
an artefact is marked, and no promise is based on it.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Admin, Operator, Read, readable
from api.access.keys import Caller
from api.document.openapi import returns, takes
from api.http.bodies import Whole, answer, read_json, read_model
from api.http.deprecation import HEADERS, deprecation_headers
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Report, Shared, State
from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.services.training import artefacts, micro_models, micro_rows, routers
from tierline.services.training.artefacts import Trained
from tierline.views.evidence.datasets import LabelList
from tierline.views.training.steering import (
    MicroModel,
    MicroModelList,
    MicroModelWithPromise,
    Router,
    RouterList,
    TrainingData,
)
from tierline.views.view import View

router = APIRouter(tags=["trainings"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]
Add = Callable[[Any, str, Trained], View]

BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class _Uploaded(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: Whole = Field(ge=1, le=1_000_000)
    right_rows: Whole = Field(ge=0, le=1_000_000)
    data_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the rows")
    quality: dict[str, Any] = Field(description="cross-validated")


class UploadedRouter(_Uploaded):
    """A router that a client trained on the feature's labelled log."""

    document: dict[str, Any] = Field(description="the combination of its signals")
    vectors: str | None = Field(
        default=None,
        pattern=BASE64,
        description="base64 of its embeddings; null: it uses none",
    )


class UploadedMicroModel(_Uploaded):
    """A micro model that a client trained on the feature's labels."""

    document: dict[str, Any] = Field(description="its labels, and how far to trust it")
    vectors: str = Field(
        min_length=4, pattern=BASE64, description="base64 of its weights and examples"
    )
    inputs: str | None = Field(
        default=None, pattern=BASE64, description="ignored: a client's measurement is not used"
    )
    promise: dict[str, Any] | None = Field(
        default=None, description="refused (409): a promise is tested on the server's own rows"
    )


_EXAMPLE: dict[str, Any] = {
    "rows": 200,
    "right_rows": 190,
    "data_sha256": "0" * 64,
    "quality": {"accuracy": 0.95},
}


@router.get(
    "/v1/features/{name}/labels",
    summary="List a feature's labelled inputs",
    responses={
        200: returns("The newest first, at most 10,000", LabelList),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def get_labels(
    name: Name,
    caller: Admin,
    state: Shared,
    connection: Report,
    for_micro: Annotated[bool, Query(description="refuse a feature without a micro tier")] = False,
) -> Response:
    """The label is what people said is right, or else the last tier's answer. From the caller's
    account's jobs, or from all where the installation lets operators read all.
    """
    account = readable(state, caller)
    labels = micro_rows.labels_of(connection, name, account, for_micro=for_micro)
    return answer(LabelList.of(labels))


@router.get(
    "/v1/features/{name}/training-data",
    summary="List answers of a feature's first tier with their quality",
    responses={
        200: returns("The newest, at most 5,000", TrainingData),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def get_training_data(name: Name, caller: Admin, state: Shared, connection: Report) -> Response:
    """Answers that failed a check or differ from their reference, and answers that agree with it.
    From the caller's account's jobs, or from all where the installation lets operators read all.
    """
    rows = routers.training_data(connection, name, readable(state, caller))
    return answer(TrainingData.of(rows))


@router.post(
    "/v1/features/{name}/micro-models",
    status_code=201,
    summary="Store a micro model that a client trained",
    deprecated=True,
    responses={
        201: returns("It answers within seconds", MicroModelWithPromise, HEADERS),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        UploadedMicroModel,
        {
            **_EXAMPLE,
            "document": {"labels": ["a", "b"], "trust": {"intercept": 1.0, "terms": {}}},
            "vectors": "UEsDBA==",
        },
    ),
)
async def post_micro_model(
    name: Name, request: Request, caller: Operator, state: Shared
) -> Response:
    """Start a training instead. All answers of such a model escalate until it is calibrated on its
    outcomes, and it is never evaluated.
    """
    body = read_model(UploadedMicroModel, await read_json(request, state.settings.max_json_depth))
    if body.promise is not None:
        raise Conflict(
            "a promise is tested on the server's own rows, never on scores that a client sends: "
            f"train on the server, by POST /v1/features/{name}/trainings with kind micro_model and "
            "max_error, as 'tierline micro train' of 0.2.0 does"
        )
    artefact = await _store(state, request, caller, name, body, micro_models.add_uploaded)
    return _uploaded(name, artefact)


@router.post(
    "/v1/features/{name}/routers",
    status_code=201,
    summary="Store a router that a client trained",
    deprecated=True,
    responses={
        201: returns("It is used within seconds", Router, HEADERS),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        UploadedRouter,
        {
            **_EXAMPLE,
            "document": {
                "intercept": 1.0,
                "terms": {"log_length": {"mean": 5.0, "scale": 1.0, "weight": -0.5}},
            },
        },
    ),
)
async def post_router(name: Name, request: Request, caller: Operator, state: Shared) -> Response:
    """Start a training instead. The router is for the feature's current prompt."""
    body = read_model(UploadedRouter, await read_json(request, state.settings.max_json_depth))
    artefact = await _store(state, request, caller, name, body, routers.add_uploaded)
    return _uploaded(name, artefact)


@router.get(
    "/v1/features/{name}/micro-models",
    summary="List a feature's micro models",
    responses={
        200: returns("The newest first", MicroModelList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_micro_models(name: Name, _: Read, connection: Database) -> Response:
    """The newest one for the feature's current task that is not withdrawn answers."""
    return answer(MicroModelList.of(artefacts.micro_models_of(connection, name)))


@router.get(
    "/v1/features/{name}/routers",
    summary="List a feature's routers",
    responses={
        200: returns("The newest first", RouterList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_routers(name: Name, _: Read, connection: Database) -> Response:
    """The newest one for the feature's current prompt that is not withdrawn is used."""
    return answer(RouterList.of(artefacts.routers_of(connection, name)))


@router.post(
    "/v1/features/{name}/micro-models/{model_id}/withdraw",
    summary="Withdraw a micro model",
    responses={
        200: returns("It no longer answers", MicroModel),
        **documented(401, 403, 404, 422, 503),
    },
)
def withdraw_micro_model(name: Name, model_id: Id, _: Operator, connection: Database) -> Response:
    """Within seconds the previous one answers instead, or the next tier."""
    return answer(artefacts.withdraw_micro_model(connection, name, model_id))


@router.post(
    "/v1/features/{name}/routers/{router_id}/withdraw",
    summary="Withdraw a router",
    responses={
        200: returns("It is no longer used", Router),
        **documented(401, 403, 404, 422, 503),
    },
)
def withdraw_router(name: Name, router_id: Id, _: Operator, connection: Database) -> Response:
    """Within seconds the previous one is used instead, or the rules without a router."""
    return answer(artefacts.withdraw_router(connection, name, router_id))


async def _store(
    state: State,
    request: Request,
    caller: Caller,
    name: str,
    body: UploadedRouter | UploadedMicroModel,
    add: Add,
) -> View:
    try:
        vectors = None if body.vectors is None else base64.b64decode(body.vectors, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput([Problem("is not base64", "/vectors")]) from None
    trained = Trained(
        body.rows, body.right_rows, body.data_sha256, body.quality, body.document, vectors
    )

    def work(connection: Any) -> View:
        return add(connection, name, trained)

    return await state.reports.work(request, caller.account_id, work)


def _uploaded(name: str, artefact: View) -> Response:
    return answer(artefact, 201, deprecation_headers(f"/v1/features/{name}/trainings"))
