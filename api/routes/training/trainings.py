"""/v1/features/{name}/trainings: the server trains a micro model or a router."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel
from starlette.concurrency import run_in_threadpool

from api.access.auth import Operator, Read, readable
from api.document.openapi import returns, takes
from api.http.ask_again import ask_again
from api.http.bodies import answer, read_json, read_model, whole
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.base.json_text import JSON
from tierline.services.operations import requests
from tierline.services.training import trainings as services
from tierline.views.training.trainings import Training, TrainingList

router = APIRouter(tags=["trainings"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]
Version = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(whole)]

HEADERS: dict[str, Any] = {
    "Location": {"schema": {"type": "string"}, "description": "where to poll it"},
    "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"},
}
ENDED = ("completed", "failed", "cancelled")


class _New(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(
        strict=True, default=False, description="store nothing: only measure the quality"
    )


class NewMicroModel(_New):
    """How to train a micro model."""

    kind: Literal["micro_model"] = Field(description="what to train")
    dataset: Version | None = Field(
        default=None,
        description="the version to learn from; null: the labels of the jobs",
    )
    max_error: float | None = Field(
        strict=True,
        default=None,
        gt=0.0001,
        lt=1,
        description="the share of served answers that may be wrong; null: no promise, so all its "
        "answers escalate and become outcomes",
    )
    confidence: float = Field(
        strict=True, default=0.95, ge=0.5, le=0.9999, description="confidence of the promise"
    )
    strangers: float = Field(
        strict=True,
        default=0.05,
        ge=0,
        le=0.9,
        description="the share of the traffic that may be of unseen kinds while the promise holds",
    )
    split: Literal["near_duplicates", "meaning"] = Field(
        default="near_duplicates",
        description="how held-out inputs are kept apart from training; with meaning the promise "
        "also has to hold for inputs whose meaning training never saw",
    )


class NewRouter(_New):
    """How to train a router."""

    kind: Literal["router"] = Field(description="what to train")
    embeddings: bool = Field(
        strict=True, default=True, description="use the meaning of inputs, not only their form"
    )


class NewTraining(RootModel[Annotated[NewMicroModel | NewRouter, Field(discriminator="kind")]]):
    """What to train, and how."""


OF_KIND: dict[JSON, type[NewMicroModel] | type[NewRouter]] = {
    "micro_model": NewMicroModel,
    "router": NewRouter,
}


def _read(body: JSON) -> NewMicroModel | NewRouter:
    """The parsed request. Raises InvalidInput, whose paths are paths in the body."""
    kind = body.get("kind") if isinstance(body, dict) else None
    if isinstance(kind, str) and kind in OF_KIND:
        return read_model(OF_KIND[kind], body)
    return read_model(NewTraining, body).root


@router.post(
    "/v1/features/{name}/trainings",
    status_code=202,
    summary="Start a training",
    responses={
        202: returns("Queued, or it was queued before", Training, HEADERS),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewTraining, {"kind": "micro_model", "max_error": 0.03}),
)
async def post_training(name: Name, request: Request, caller: Operator, state: Shared) -> Response:
    """Uses the inputs of the caller's account's jobs, or of all where the installation lets
    operators read all. A feature has one training of each kind at a time; a repeat with the same
    options returns it.
    """
    body = _read(await read_json(request, state.settings.max_json_depth))
    options = body.model_dump(exclude={"kind"})
    training_request = requests.Request(
        name, body.kind, options, caller.account_id, readable(state, caller)
    )

    def work(connection: Any) -> tuple[Training, bool]:
        return services.start(connection, training_request, body.kind)

    training, _ = await run_in_threadpool(state.with_connection, work)
    return _answer(training, 202, {"Location": f"/v1/features/{name}/trainings/{training.id}"})


@router.get(
    "/v1/features/{name}/trainings",
    summary="List a feature's trainings",
    responses={
        200: returns("The newest first, at most 100", TrainingList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_trainings(name: Name, _: Read, connection: Database) -> Response:
    """Lists each training with its result."""
    return answer(TrainingList.of(services.trainings_of(connection, name)))


@router.get(
    "/v1/features/{name}/trainings/{training_id}",
    summary="Get a training",
    responses={
        200: returns("The training's state", Training),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_training(name: Name, training_id: Id, _: Read, connection: Database) -> Response:
    """Includes its progress, and a Retry-After header while it has not ended."""
    return _answer(services.training_of(connection, name, training_id))


@router.post(
    "/v1/features/{name}/trainings/{training_id}/cancel",
    status_code=202,
    summary="Cancel a training",
    responses={
        200: returns("It has ended", Training),
        202: returns("It ends within seconds", Training),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_training(name: Name, training_id: Id, _: Operator, connection: Database) -> Response:
    """Its process is killed, and nothing is stored. An ended training does not change."""
    training = services.cancel(connection, name, training_id)
    return _answer(training, 200 if training.status in ENDED else 202)


def _answer(
    training: Training, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    retry_after = {} if training.status in ENDED else ask_again(training.created_at)
    return answer(training, status, {**retry_after, **(headers or {})})
