"""Budgets, usage, prices, and what a feature would cost at a volume."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from api.access.keys import Caller
from api.console.pages import ConsoleRoute, page
from api.console.session import CONSOLE, OperatorHere, Reader
from api.console.views.money import budget_of, days_chart, per_day, sum_of
from api.parameters.cost_question import NUMBER, cost_question
from api.state import Database, LateReport
from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.economics.costs import CostQuestion
from tierline.pricing.listed import edition
from tierline.services.accounts.read_accounts import account_id_of, list_accounts
from tierline.services.features.find_feature import current_versions
from tierline.services.features.models import list_models
from tierline.services.money.budgets import list_budgets
from tierline.services.money.prices import list_prices
from tierline.services.reports.economics import economics_of
from tierline.services.reports.usage import USER, day_of, usage_by_user, usage_of
from tierline.views.money.budgets import Budget
from tierline.views.money.prices import Price

PATH = f"{CONSOLE}/money"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

SPANS = (7, 30, 90)  # days
GROUPS = ("feature", "tier", "model", "purpose", "day", USER)
MOST_ROWS = 200
MOST_ACCOUNTS = 20
QUESTION_FIELDS = (
    ("requests_per_day", "Requests a day"),
    ("peak_per_s", "Requests a second at the peak"),
    ("escalation_rate", "Share that escalates, 0 to 1"),
    ("revenue_usd_per_month", "Revenue, USD a month"),
    ("machine_usd_per_hour", "Server of your own, USD an hour"),
    ("machine_requests_per_s", "Requests a second that it answers"),
    ("input_tokens", "Input tokens of an attempt"),
    ("output_tokens", "Output tokens of an attempt"),
)
_NUMBER = re.compile(NUMBER)


@router.get("")
def get_money(request: Request, caller: Reader, connection: LateReport) -> Response:
    """An account's usage with its budgets. Operators choose the account."""
    query = request.query_params
    operator = caller.may("operator")
    days, by = _one_of(query, "days", "30"), query.get("by", "feature")
    if by not in GROUPS:
        raise InvalidInput([Problem(f"is one of {', '.join(GROUPS)}", "?by")])
    account, account_id = _account(connection, caller, query.get("account", ""))
    begin = day_of(datetime.now(UTC)) - timedelta(days=days - 1)
    daily = per_day(usage_of(connection, account_id, begin, None, ["day"]), begin.date(), days)
    users = None
    if by == USER:
        users = usage_by_user(connection, account_id, begin, None)
    rows = users.rows if users else usage_of(connection, account_id, begin, None, [by])
    names = [row["name"] for row in list_accounts(connection)] if operator else []
    return page(
        request,
        "money.html",
        account=account,
        accounts=names[:MOST_ACCOUNTS],
        others=len(names) > MOST_ACCOUNTS,
        days=days,
        spans=SPANS,
        by=by,
        groups=GROUPS,
        daily=daily,
        chart=days_chart(daily),
        rows=sorted(rows, key=lambda row: (-row.cost_usd, getattr(row, by)))[:MOST_ROWS],
        total=sum_of(rows if users is None else usage_of(connection, account_id, begin, None, [])),
        users=users,
        cut=users is not None and users.since > begin,
        budgets=[
            budget_of(Budget.model_validate(row)) for row in list_budgets(connection, account_id)
        ]
        if caller.may("admin")
        else [],
        may_see_budgets=caller.may("admin"),
        operator=operator,
    )


@router.get("/accounts")
def get_accounts(request: Request, _: OperatorHere, connection: LateReport) -> Response:
    """The usage of each account."""
    begin = day_of(datetime.now(UTC)) - timedelta(days=29)
    names = list_accounts(connection)
    return page(
        request,
        "money_accounts.html",
        rows=[
            (row["name"], sum_of(usage_of(connection, row["id"], begin, None, [])))
            for row in names[:MOST_ACCOUNTS]
        ],
        more=max(0, len(names) - MOST_ACCOUNTS),
        days=30,
    )


@router.get("/prices")
def get_prices(request: Request, caller: Reader, connection: Database) -> Response:
    """The prices in force of the models in use, and the operator's own prices."""
    version, compiled_on = edition()
    return page(
        request,
        "prices.html",
        models=[model for model in list_models(connection) if model.features],
        own=[Price.model_validate(row) for row in list_prices(connection)][:MOST_ROWS],
        edition=version,
        compiled_on=compiled_on,
        operator=caller.may("operator"),
    )


@router.get("/economics")
def get_economics(request: Request, _: OperatorHere, connection: LateReport) -> Response:
    """What a feature's jobs cost, and what each way to run it would cost at a volume."""
    query = request.query_params
    names = [version.name for version in current_versions(connection)]
    name = query.get("feature", "") or (names[0] if names else "")
    question = _question(query)
    economics, refusal = None, None
    if name:
        begin = day_of(datetime.now(UTC)) - timedelta(days=30)
        try:
            economics = economics_of(connection, name, begin, None, question)
        except Conflict as error:
            refusal = error.message
    return page(
        request,
        "economics.html",
        features=names,
        feature=name,
        question=[(field, title, query.get(field, "")) for field, title in QUESTION_FIELDS],
        economics=economics,
        refusal=refusal,
    )


def _question(query: Mapping[str, str]) -> CostQuestion | None:
    fields = {field: query.get(field, "").strip() for field, _ in QUESTION_FIELDS}
    wrong = [field for field, text in fields.items() if text and not _NUMBER.fullmatch(text)]
    if wrong:
        raise InvalidInput([Problem("is a number such as 1000 or 0.2", f"?{wrong[0]}")])
    return cost_question(**{field: text or None for field, text in fields.items()})


def _account(connection: Any, caller: Caller, name: str) -> tuple[str, int]:
    """The account to show; others than the caller's are an operator's."""
    if not name or name == caller.account or not caller.may("operator"):
        return caller.account, caller.account_id
    return name, account_id_of(connection, name)


def _one_of(query: Mapping[str, str], name: str, default: str) -> int:
    text = query.get(name, default)
    if text not in map(str, SPANS):
        raise InvalidInput([Problem(f"is one of {', '.join(map(str, SPANS))}", f"?{name}")])
    return int(text)
