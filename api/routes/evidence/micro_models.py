"""/v1/features/{name}/micro-models: classifiers that answer for a feature inside the worker."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Admin, Operator, Read, readable
from api.bodies import Whole, answer, body_of, read_json, read_model
from api.numbers import ASCII_DIGITS
from api.openapi import returns
from api.problems import documented
from api.state import Database, Report, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.services.evidence import micro_models as services
from tierline.services.evidence.micro_models import Judged, Sought
from tierline.views.datasets import LabelList
from tierline.views.steering import MicroModel, MicroModelList, MicroModelWithPromise

router = APIRouter(tags=["routing"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]

MOST_JUDGED = 20_000


class JudgedAnswer(BaseModel):
    """What the model said to an input that it was not trained on."""

    model_config = ConfigDict(extra="forbid")

    score: float = Field(strict=True, ge=0, le=1, description="how sure it was")
    wrong: bool
    label: str | None = Field(
        default=None,
        max_length=1_000,
        description="null: of a kind that was withheld, to see it fooled",
    )


class SoughtPromise(BaseModel):
    """What is to be promised, and the answers that it is tested on."""

    model_config = ConfigDict(extra="forbid")

    max_error: float = Field(strict=True, gt=0.0001, lt=1)
    confidence: float = Field(strict=True, default=0.95, ge=0.5, le=0.9999)
    planned: list[JudgedAnswer] = Field(max_length=MOST_JUDGED, description="to plan by")
    held_out: list[JudgedAnswer] = Field(
        max_length=MOST_JUDGED, description="to test on: of inputs that stand for all traffic"
    )
    said_by: list[Annotated[str, Field(max_length=300)]] = Field(
        max_length=100, description="the models whose answers count as right; none: people's"
    )


class NewMicroModel(BaseModel):
    """A micro model that was trained on the feature's labels."""

    model_config = ConfigDict(extra="forbid")

    rows: Whole = Field(ge=1, le=1_000_000)
    right_rows: Whole = Field(ge=0, le=1_000_000)
    data_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the rows")
    quality: dict[str, Any] = Field(description="cross-validated")
    document: dict[str, Any] = Field(description="its labels, and how far to trust it")
    vectors: str = Field(
        min_length=4,
        pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        description="base64 of its weights and examples",
    )
    inputs: str | None = Field(
        default=None,
        pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        description="base64 of 8 bytes of the SHA-256 of each input that it has seen; null: it "
        "does not say, and cannot be evaluated",
    )
    promise: SoughtPromise | None = Field(
        default=None, description="null: all that it says escalates, and becomes outcomes"
    )


@router.get(
    "/v1/features/{name}/labels",
    summary="List a feature's inputs whose right output is known",
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
    """What people said is right, else what the last tier answered; of the caller's account's jobs,
    or of all where the installation lets operators read all.
    """
    found = services.labels_of(connection, name, readable(state, caller), for_micro=for_micro)
    return answer(LabelList.of(found))


@router.post(
    "/v1/features/{name}/micro-models",
    status_code=201,
    summary="Keep a trained micro model",
    responses={
        201: returns("It answers within seconds", MicroModelWithPromise),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=body_of(
        NewMicroModel,
        {
            "rows": 200,
            "right_rows": 190,
            "data_sha256": "0" * 64,
            "quality": {"accuracy": 0.95},
            "document": {"labels": ["a", "b"], "trust": {"intercept": 1.0, "terms": {}}},
            "vectors": "UEsDBA==",
        },
    ),
)
async def post_micro_model(
    name: Name, request: Request, caller: Operator, state: Shared
) -> Response:
    """What `tierline micro train` sends. With a promise both are kept or, where the answers are too
    few for it (409), neither.
    """
    given = read_model(NewMicroModel, await read_json(request, state.settings.max_json_depth))
    try:
        vectors = base64.b64decode(given.vectors, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput([Problem("is not base64", "/vectors")]) from None
    inputs = None if given.inputs is None else base64.b64decode(given.inputs)
    fields = given.model_dump(exclude={"vectors", "inputs", "promise"})

    def work(connection: Any) -> dict[str, JSON]:
        return services.add_micro_model(
            connection,
            name,
            **fields,
            vectors=vectors,
            inputs=inputs,
            sought=_sought(given.promise),
        )

    return answer(
        MicroModelWithPromise.exactly(await state.reports.work(request, caller.account_id, work)),
        201,
    )


@router.get(
    "/v1/features/{name}/micro-models",
    summary="List a feature's micro models",
    responses={
        200: returns("The newest first", MicroModelList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_micro_models(name: Name, _: Read, connection: Database) -> Response:
    """The newest for what the feature asks now that was not withdrawn answers."""
    return answer(MicroModelList.of(services.micro_models_of(connection, name)))


@router.post(
    "/v1/features/{name}/micro-models/{model_id}/withdraw",
    summary="Withdraw a micro model",
    responses={
        200: returns("It answers no more", MicroModel),
        **documented(401, 403, 404, 422, 503),
    },
)
def withdraw_micro_model(name: Name, model_id: Id, _: Operator, connection: Database) -> Response:
    """Within seconds the one before it answers, or the next tier."""
    return answer(MicroModel.exactly(services.withdraw_micro_model(connection, name, model_id)))


def _sought(given: SoughtPromise | None) -> Sought | None:
    if given is None:
        return None
    return Sought(
        given.max_error,
        given.confidence,
        [Judged(**one.model_dump()) for one in given.planned],
        [Judged(**one.model_dump()) for one in given.held_out],
        given.said_by,
    )
