"""/v1/jobs/{id}/decisions and /v1/decisions: which tier was chosen, and why."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.access.auth import Read, needs
from api.document.openapi import STORABLE, returns
from api.http.bodies import Time, answer, aware
from api.http.deprecation import HEADERS as DEPRECATION_HEADERS
from api.http.deprecation import deprecation_headers
from api.http.problems import documented
from api.parameters.cursors import read_cursor, write_cursor
from api.parameters.numbers import ASCII_DIGITS
from api.routes.jobs.read import JobId, read_job_id
from api.state import Database, LateReport
from tierline.base.errors import InvalidInput, Problem
from tierline.services.accounts.read_accounts import account_id_of
from tierline.services.jobs.running.decision_log import Filters, decisions_of, decisions_page
from tierline.views.jobs.decisions import DecisionPage, Route

router = APIRouter(tags=["routing"])

MOST_JOBS = 200  # per page


@router.get(
    "/v1/jobs/{job_id}/decisions",
    summary="List the routing decisions about a job",
    responses={
        200: returns("All its decisions, in order", Route),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_decisions(job_id: JobId, caller: Read, connection: Database) -> Response:
    """Policy, signals, threshold and reason of each, its outcome, and the alternatives."""
    return answer(decisions_of(connection, caller.account_id, read_job_id(job_id)))


@router.get(
    "/v1/jobs/{job_id}/route",
    summary="List the routing decisions about a job (path of version 0.1)",
    deprecated=True,
    responses={
        200: {
            **returns("All its decisions, in order", Route),
            "headers": DEPRECATION_HEADERS,
        },
        **documented(401, 403, 404, 422, 503),
    },
)
def get_route(job_id: JobId, caller: Read, connection: Database) -> Response:
    """Use `GET /v1/jobs/{id}/decisions` instead."""
    job = read_job_id(job_id)
    headers = deprecation_headers(f"/v1/jobs/{job}/decisions")
    return answer(decisions_of(connection, caller.account_id, job), headers=headers)


@router.get(
    "/v1/decisions",
    summary="List routing decisions, those of the newest jobs first",
    responses={
        200: returns("The decisions of a page of jobs", DecisionPage),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_decisions(
    caller: Read,
    connection: LateReport,
    feature: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    tier: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    policy: Annotated[str | None, Query(max_length=63, pattern=STORABLE)] = None,
    reason: Annotated[
        str | None,
        Query(max_length=200, pattern=STORABLE, description="a text in the decision's reason"),
    ] = None,
    account: Annotated[
        str | None,
        Query(max_length=63, pattern=STORABLE, description="another account's, for operators"),
    ] = None,
    all_accounts: Annotated[bool, Query(description="every account's, for operators")] = False,
    since: Annotated[Time | None, Query(alias="from", description="time of submission")] = None,
    until: Annotated[Time | None, Query(alias="to", description="not included")] = None,
    limit: Annotated[
        int, Query(ge=1, le=MOST_JOBS, description="jobs per page"), ASCII_DIGITS
    ] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Only the caller's account's own, unless an operator names another account or all accounts. A
    page examines at most 20,000 jobs, of all accounts 10,000: it may have fewer than `limit`, or
    none, and `next_cursor` goes on with older ones.
    """
    account_id: int | None = caller.account_id
    others = all_accounts or (account is not None and account != caller.account)
    if others and not caller.may("operator"):
        raise needs(caller, "operator", "reading another account's decisions")
    if all_accounts:
        if account is not None:
            raise InvalidInput([Problem("give one account, or all_accounts", "/account")])
        account_id = None
    elif account is not None and others:
        account_id = account_id_of(connection, account)
    filters = Filters(feature, tier, policy, reason, aware(since), aware(until))
    decisions, before = decisions_page(connection, account_id, filters, read_cursor(cursor), limit)
    return answer(DecisionPage.of(decisions, None if before is None else write_cursor(before)))
