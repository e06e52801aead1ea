"""/v1/features/{name}/evaluations: the quality of each tier on a dataset's test examples."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Operator, Read, readable
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model, whole
from api.http.deprecation import HEADERS, deprecation_headers
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.routes.money.budgets import AMOUNT
from api.state import Database, Shared
from tierline.evaluation.summary import FEWEST
from tierline.services.evidence.evaluation import evaluations as services
from tierline.services.evidence.evaluation.evaluation_plan import MOST_EXAMPLES, EvaluationRequest
from tierline.views.evidence.evaluations import DifferingList, Evaluation, EvaluationList

router = APIRouter(tags=["evaluations"])

Name = Annotated[str, Path(max_length=63)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]
TierName = Annotated[str, Field(max_length=63)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(whole)]
Limit = Annotated[int, Field(ge=FEWEST, le=MOST_EXAMPLES), BeforeValidator(whole)]
Amount = Annotated[str, Field(pattern=AMOUNT)]


class NewEvaluation(BaseModel):
    """What to evaluate."""

    model_config = ConfigDict(extra="forbid")

    dataset: Version | None = Field(default=None, description="its version; null: the newest")
    tiers: list[TierName] | None = Field(
        default=None, max_length=20, description="compared with the last of them; null: all"
    )
    limit: Limit | None = Field(default=None, description="examples; null: all test examples")
    max_usd: Amount | None = Field(default=None, description="the most it may cost; null: any")


@router.post(
    "/v1/features/{name}/evaluations",
    status_code=201,
    summary="Start an evaluation, or continue the one with the same plan",
    responses={
        200: returns("It was running already; max_usd is updated", Evaluation),
        201: returns("Started", Evaluation),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewEvaluation, {"tiers": ["slm", "frontier"], "max_usd": "2.50"}),
)
async def post_evaluation(
    name: Name, request: Request, caller: Operator, state: Shared
) -> Response:
    """Uses the test rows of files and of the caller's account's jobs, or of all jobs where the
    installation lets operators read all. The caller's account pays.
    """
    body = read_model(NewEvaluation, await read_json(request, state.settings.max_json_depth))
    most = None if body.max_usd is None else Decimal(body.max_usd)
    evaluation_request = EvaluationRequest(body.dataset, body.tiers, body.limit, most)

    def work(connection: Any) -> tuple[Evaluation, bool]:
        return services.start(
            connection, name, evaluation_request, caller.account_id, readable(state, caller)
        )

    evaluation, new = await state.reports.work(request, caller.account_id, work)
    state.ready.ready()
    return answer(evaluation, 201 if new else 200)


@router.get(
    "/v1/features/{name}/evaluations",
    summary="List a feature's evaluations",
    responses={
        200: returns("The newest first", EvaluationList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_evaluations(name: Name, _: Read, connection: Database) -> Response:
    """Lists each evaluation's result, and whether it is still valid."""
    return answer(EvaluationList.of(services.evaluations_of(connection, name)))


@router.get(
    "/v1/features/{name}/evaluations/{evaluation_id}",
    summary="Get an evaluation",
    responses={
        200: returns("The evaluation's state", Evaluation),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_evaluation(name: Name, evaluation_id: Id, _: Read, connection: Database) -> Response:
    """Its progress while it runs, and its result when it is completed. `progress.waits_for` is
    `budget` if the rest of `max_usd` may not pay for one more answer: to allow more, repeat the
    request that started it.
    """
    return answer(services.evaluation_of(connection, name, evaluation_id))


@router.post(
    "/v1/features/{name}/evaluations/{evaluation_id}/step",
    summary="Advance an evaluation (deprecated)",
    deprecated=True,
    responses={
        200: returns("The evaluation's state", Evaluation, HEADERS),
        **documented(401, 403, 404, 422, 503),
    },
)
async def step_evaluation(name: Name, evaluation_id: Id, _: Operator, state: Shared) -> Response:
    """For clients of release 0.1. An evaluation runs by itself; use GET to poll it."""

    def work(connection: Any) -> Evaluation:
        return services.step(connection, name, evaluation_id)

    evaluation = await run_in_threadpool(state.with_connection, work)
    state.ready.ready()
    successor = f"/v1/features/{name}/evaluations/{evaluation_id}"
    return answer(evaluation, headers=deprecation_headers(successor))


@router.post(
    "/v1/features/{name}/evaluations/{evaluation_id}/cancel",
    summary="Cancel an evaluation",
    responses={
        200: returns("It has ended", Evaluation),
        **documented(401, 403, 404, 422, 503),
    },
)
def cancel_evaluation(name: Name, evaluation_id: Id, _: Operator, connection: Database) -> Response:
    """Its jobs are cancelled and it gives no result. An ended evaluation does not change."""
    return answer(services.stop(connection, name, evaluation_id))


@router.get(
    "/v1/features/{name}/evaluations/{evaluation_id}/differing",
    summary="List the examples on which a tier differs from the last one",
    responses={
        200: returns("Its largest losses first", DifferingList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_differing(
    name: Name,
    evaluation_id: Id,
    caller: Operator,
    state: Shared,
    connection: Database,
    tier: Annotated[
        str | None, Query(max_length=63, description="default: the first compared tier")
    ] = None,
) -> Response:
    """At most 200, from files and from the caller's account's jobs, or from all jobs where the
    installation lets operators read all.
    """
    rows = services.side_by_side(connection, name, evaluation_id, tier, readable(state, caller))
    return answer(DifferingList.of(rows))
