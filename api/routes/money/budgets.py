"""/v1/budgets: what an account, its users and its sessions may spend.

Operators set budgets. An account's administrator can read those of its account.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Admin, Operator, needs
from api.document.openapi import STORABLE, returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.services.accounts.read_accounts import account_id_of
from tierline.services.money import budgets as services
from tierline.services.money.unfit_budgets import unfit
from tierline.views.money.budgets import BudgetList, BudgetSet

router = APIRouter(tags=["accounts"])

MOST_USD = 1_000_000_000
AMOUNT = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"


class NewBudget(BaseModel):
    """A budget to set. A budget with the same account, scope, key and period is changed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "not": {  # generators of clients split a model with anyOf
                "required": ["key"],
                "properties": {"scope": {"enum": ["account"]}, "key": {"minLength": 1}},
            }
        },
    )

    account: str = Field(max_length=63)
    scope: Literal["account", "user", "session"] = "account"
    key: str = Field(
        default="",
        max_length=255,
        description="the user or session; empty: each of them has a budget of its own",
    )
    period: Literal["day", "month"] = Field(description="in UTC")
    limit_usd: str = Field(pattern=AMOUNT, description="USD, a decimal")
    hard: bool = Field(
        default=False,
        description="when spent, submissions are refused; otherwise jobs use only the first tier",
    )


@router.get(
    "/v1/budgets",
    summary="List budgets",
    responses={
        200: returns("Each with what is spent of its current period", BudgetList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_budgets(
    caller: Admin,
    connection: Database,
    account: Annotated[
        str | None, Query(max_length=63, pattern=STORABLE, description="only its")
    ] = None,
) -> Response:
    """The account's own budgets; for an operator every account's. If each user or session has a
    budget of its own, the one with the highest use is shown.
    """
    account_id = caller.confined_to
    if account is not None and account != caller.account:
        if account_id is not None:
            raise needs(caller, "operator", "another account's budgets")
        account_id = account_id_of(connection, account)
    elif account is not None:
        account_id = caller.account_id
    return answer(BudgetList.of(services.list_budgets(connection, account_id)))


@router.post(
    "/v1/budgets",
    summary="Set a budget",
    responses={
        200: returns("The budget now", BudgetSet),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewBudget, {"account": "default", "period": "month", "limit_usd": "50"}),
)
async def post_budget(request: Request, _: Operator, state: Shared) -> Response:
    """It applies to calls from now on. What was spent before is not counted."""
    body = read_model(NewBudget, await read_json(request, state.settings.max_json_depth))

    def work(connection: Any) -> Any:
        row = services.set_budget(connection, **body.model_dump())
        return row | {"warnings": unfit(connection, row["limit_usd"], hard=row["hard"])}

    row = await run_in_threadpool(state.with_connection, work)
    return answer(BudgetSet.model_validate(row))


@router.delete(
    "/v1/budgets/{budget_id}",
    status_code=204,
    summary="Remove a budget",
    responses={
        204: {"description": "Removed; the usage still shows what was spent"},
        **documented(401, 403, 404, 422, 503),
    },
)
def delete_budget(
    budget_id: Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS],
    _: Operator,
    connection: Database,
) -> Response:
    """Calls under way keep what they reserved of other budgets."""
    services.remove_budget(connection, budget_id)
    return Response(status_code=204)
