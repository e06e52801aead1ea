"""/v1/plans and /v1/accounts/{name}/plan: named limits on what accounts may spend and use."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Operator
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.routes.money.budgets import AMOUNT
from api.state import Database, Shared
from tierline.services.money import plans as services
from tierline.views.money.plans import OnPlan, Plan, PlanList

router = APIRouter(tags=["accounts"])

NAME = r"^[a-z][a-z0-9-]{0,62}$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewPlanBudget(_Body):
    """A budget of each account on the plan."""

    scope: Literal["account", "user", "session"] = Field(
        default="account", description="user and session: each of them has a budget of its own"
    )
    period: Literal["day", "month"] = Field(description="in UTC")
    limit_usd: str = Field(pattern=AMOUNT, description="USD, a decimal")
    hard: bool = Field(default=False, description="when spent, submissions are refused")


class NewPlan(_Body):
    """A plan to set. An existing plan of that name is changed, with its accounts' budgets."""

    name: str = Field(pattern=NAME)
    first_tier_only: bool = Field(default=False, description="its accounts may not escalate")
    budgets: list[NewPlanBudget] = Field(default=[], max_length=6)


class PlanChoice(_Body):
    """Which plan an account is on."""

    plan: str | None = Field(max_length=63, description="null: on none")


@router.get(
    "/v1/plans",
    summary="List plans",
    responses={200: returns("By name", PlanList), **documented(401, 403, 503)},
)
def list_plans(_: Operator, connection: Database) -> Response:
    """Lists the plans, each with the number of its accounts."""
    return answer(PlanList.of(services.list_plans(connection)))


@router.post(
    "/v1/plans",
    summary="Set a plan",
    responses={
        200: returns("The plan now", Plan),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewPlan, {"name": "free", "first_tier_only": True, "budgets": []}),
)
async def post_plan(request: Request, _: Operator, state: Shared) -> Response:
    """An account's own budget of the same scope and period takes precedence over its plan's."""
    body = read_model(NewPlan, await read_json(request, state.settings.max_json_depth))
    fields = body.model_dump()

    def work(connection: Any) -> Any:
        return services.set_plan(connection, **fields)

    row = await run_in_threadpool(state.with_connection, work)
    return answer(Plan.model_validate(row))


@router.put(
    "/v1/accounts/{name}/plan",
    summary="Put an account on a plan",
    responses={
        200: returns("The account's plan now", OnPlan),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(PlanChoice, {"plan": None}),
)
async def put_plan(
    name: Annotated[str, Path(max_length=63)], request: Request, _: Operator, state: Shared
) -> Response:
    """The plan applies to the account's calls from now on. null removes the account's plan."""
    body = read_model(PlanChoice, await read_json(request, state.settings.max_json_depth))

    await run_in_threadpool(state.with_connection, services.put_on, name, body.plan)
    return answer(OnPlan(account=name, plan=body.plan))
